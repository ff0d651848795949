import { cut } from '../table.ts';
import { bodyRows, padded, windowStart, wrapped, type Line } from './layout.ts';
import type { Page, PageLine, TopState } from './state.ts';

/** The wrapped lines of pages, by their unwrapped lines. */
const wrappedPages = new WeakMap<
  readonly PageLine[],
  { readonly columns: number; readonly lines: readonly PageLine[] }
>();

/** Returns the lines of a page as the screen shows them: trees are cut, all other lines are wrapped. */
export function pageLines({ columns }: TopState, page: Page): readonly PageLine[] {
  if (page.kind === 'blockers') return page.lines;
  const known = wrappedPages.get(page.lines);
  if (known?.columns === columns) return known.lines;
  const lines = page.lines.flatMap(({ text }) =>
    wrapped(text, columns).map((part) => ({ text: part })),
  );
  wrappedPages.set(page.lines, { columns, lines });
  return lines;
}

/** Returns the title and the visible lines of a page. */
export function linesOfPage(state: TopState, page: Page): readonly Line[] {
  const { kind, title, position, progress } = page;
  const lines = pageLines(state, page);
  const height = bodyRows(state);
  const isTree = kind === 'blockers';
  const last = Math.max(0, lines.length - height);
  const start = isTree ? windowStart(position, lines.length, height) : Math.min(position, last);
  const range =
    lines.length > height
      ? `  lines ${start + 1} to ${Math.min(lines.length, start + height)} of ${lines.length}`
      : '';
  const working = progress === undefined ? '' : `  ${progress}`;
  return [
    { text: `${title}${working}${range}`, tone: 'title' },
    ...lines.slice(start, start + height).map(({ text }, index): Line => {
      if (!isTree) return { text };
      const isCursor = start + index === position;
      const marked = cut(`${isCursor ? '> ' : '  '}${text}`, state.columns);
      return isCursor ? { text: padded(marked, state.columns), tone: 'cursor' } : { text: marked };
    }),
  ];
}
