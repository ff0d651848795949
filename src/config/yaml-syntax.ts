import { isAlias, isNode, visit, type Document, type LineCounter, type Node } from 'yaml';

/** Returns the position and the reason of the first problem, such as `:3:1: is not valid YAML (duplicate key)`; undefined if there is none. */
export function syntaxProblem(
  document: Document,
  lines: LineCounter,
  text: string,
): string | undefined {
  // Reports only the first error, which usually causes the others.
  const [invalid] = document.errors.toSorted((one, other) => one.pos[0] - other.pos[0]);
  if (invalid === undefined) return aliasProblem(document, lines);
  const { line, col } = lines.linePos(invalid.pos[0]);
  const isIndentedByTab = /^ *\t/.test(text.split('\n')[line - 1] ?? '');
  const reason = isIndentedByTab ? TAB : (WITH_REMEDY[invalid.code] ?? inWords(invalid.code));
  return `:${line}:${col}: is not valid YAML (${reason})`;
}

const TAB = 'a tab indents the line: indent with spaces';
const WITH_REMEDY: Readonly<Record<string, string>> = {
  BAD_SCALAR_START: 'a text that begins with %, @ or ` needs quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'a key on the line of another key: give it a line of its own, or quote a text that holds a colon and a space',
};

/** Returns the code of an error of YAML in words. The message of the error can hold a value of the file. */
function inWords(code: string): string {
  return code.toLowerCase().replaceAll('_', ' ');
}

/** Returns the problem of the first alias that has no anchor or is inside its own value, or undefined. */
function aliasProblem(document: Document, lines: LineCounter): string | undefined {
  const anchors = new Map<string, Node>();
  let problem: string | undefined;
  visit(document, (_key, node, ancestors) => {
    if (!isAlias(node)) {
      if (isNode(node) && node.anchor !== undefined) anchors.set(node.anchor, node);
      return undefined;
    }
    const repeated = anchors.get(node.source);
    const isOfItself = repeated !== undefined && ancestors.includes(repeated);
    if (repeated !== undefined && !isOfItself) return undefined;
    const { line, col } = lines.linePos(node.range?.[0] ?? 0);
    // Without its name: YAML reads an unquoted password that begins with * as an alias.
    const reason = isOfItself
      ? 'the alias here stands for a value that holds it'
      : 'the alias here stands for nothing: quote a text that begins with *, or define the anchor before';
    problem = `:${line}:${col}: ${reason}`;
    return visit.BREAK;
  });
  return problem;
}
