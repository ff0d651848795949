import type { Session } from './session.ts';
import type { SessionPage } from './wire.ts';

/** The most that one page of the API holds. */
const PAGE_SIZE = 100;
/** A list that shrinks faster than it can be read is taken as it comes, sooner or later. */
const MAX_STEPS_BACK = 20;

/** Reads one page; pages are by id. */
export type ReadPage = (offset: number, limit: number) => Promise<SessionPage>;

/**
 * Joins the pages of a list that changes meanwhile: every session that was there all the time is in the result, and none twice.
 * Each page begins with the session that ended the one before; when it does not, sessions have left, and those after them moved up
 * over the edge: then it goes back.
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
