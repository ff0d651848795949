/** What is wrong with the field `expected`: where, and the rule that it breaks in both languages. */
export interface ExpectedProblem {
  readonly where: string;
  readonly en: string;
  readonly zh: string;
}

const MAX_TEXT = 512;

/** The first thing that is wrong with `expected` beside these ids, or undefined. */
export function wrongExpected(
  value: unknown,
  ids: readonly unknown[],
): ExpectedProblem | undefined {
  if (!Array.isArray(value)) return { where: 'expected', en: 'must be an array', zh: '必须为数组' };
  const named = new Set(ids);
  const seen = new Set<unknown>();
  for (const [index, entry] of (value as unknown[]).entries()) {
    const wrong = wrongEntry(entry, named, seen);
    if (wrong !== undefined) return { where: `expected[${index}]`, ...wrong };
  }
  return undefined;
}

function wrongEntry(
  entry: unknown,
  named: ReadonlySet<unknown>,
  seen: Set<unknown>,
): Omit<ExpectedProblem, 'where'> | undefined {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    return { en: 'must be an object', zh: '必须为对象' };
  }
  const { id, host, user, ...others } = entry as Record<string, unknown>;
  const [other] = Object.keys(others);
  if (other !== undefined) {
    const name = JSON.stringify(other.slice(0, 64));
    return { en: `has the unknown field ${name}`, zh: `包含未知的字段${name}` };
  }
  if (typeof id !== 'bigint' || !named.has(id)) {
    return { en: 'must have an id that is in processes', zh: '的id必须在processes中' };
  }
  if (seen.has(id)) return { en: 'has the id of an entry before it', zh: '的id与前面的条目重复' };
  seen.add(id);
  if (host === undefined && user === undefined) {
    return { en: 'must have a host or a user', zh: '必须包含host或user' };
  }
  const isText = (text: unknown): boolean =>
    text === undefined || (typeof text === 'string' && text.length > 0 && text.length <= MAX_TEXT);
  if (!isText(host) || !isText(user)) {
    const rule = `1 to ${MAX_TEXT}`;
    return {
      en: `must have texts of ${rule} characters as host and user`,
      zh: `的host和user必须为${rule.replace(' to ', '到')}个字符的文本`,
    };
  }
  return undefined;
}
