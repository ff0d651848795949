import type { Session } from './session.ts';
import type { SessionPage } from './wire.ts';

/** The maximum size of a page of the API. */
const PAGE_SIZE = 100;
/** Without a limit, a list that shrinks faster than it is read would never end. */
const MAX_STEPS_BACK = 20;

/** Reads one page. Pages are in the order of ids. */
export type ReadPage = (offset: number, limit: number) => Promise<SessionPage>;

/**
 * Joins the pages of a list that changes during the read. Each session that stays is in the result exactly once.
 * Each page begins with the last session of the page before. If that session is missing, earlier sessions have left and
 * later ones may have moved to a page that was read already. Then the read goes back half a page.
 */
export async function joinPages(
  readPage: ReadPage,
  onProgress: (read: number, total: number) => void = () => undefined,
): Promise<Session[]> {
  const found = new Map<bigint, Session>();
  let last: bigint | undefined;
  let offset = 0;
  let stepsBack = 0;
  for (;;) {
    const { sessions, total } = await readPage(offset, PAGE_SIZE);
    const [first] = sessions;
    const isGap = offset > 0 && last !== undefined && (first === undefined || first.id > last);
    if (isGap && stepsBack < MAX_STEPS_BACK) {
      stepsBack += 1;
      offset = Math.max(0, offset - PAGE_SIZE / 2);
      continue;
    }
    for (const session of sessions) found.set(session.id, session);
    onProgress(found.size, total);
    const end = sessions.at(-1);
    if (end === undefined || offset + sessions.length >= total) break;
    last = last === undefined || end.id > last ? end.id : last;
    offset += Math.max(1, sessions.length - 1);
  }
  return [...found.values()].sort(({ id: one }, { id: other }) => (one < other ? -1 : 1));
}
