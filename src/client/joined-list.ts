/** The maximum size of a page of the API. */
const PAGE_SIZE = 100;
/** Without this limit, the read of a list that shrinks fast would never end. */
const MAX_STEPS_BACK = 20;

/** A page of a list, with the total number of items. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly total: number;
}

/** The key of an item: either all are bigints, or all are strings. */
type Key = bigint | string;

/** Reads one page. Pages are in the order of keys. */
export type ReadPage<T> = (offset: number, limit: number) => Promise<Page<T>>;

/**
 * Joins the pages of a list that changes during the read. Each item that stays is in the result exactly once.
 * Each page begins with the last item of the page before. If that item is missing, earlier items have left and
 * later ones may have moved to a page that was read already. Then the read goes back half a page.
 */
export async function joinPages<T>(
  readPage: ReadPage<T>,
  keyOf: (item: T) => Key,
  onProgress: (read: number, total: number) => void = () => undefined,
): Promise<T[]> {
  const found = new Map<Key, T>();
  let last: Key | undefined;
  let offset = 0;
  let stepsBack = 0;
  for (;;) {
    const { items, total } = await readPage(offset, PAGE_SIZE);
    const [first] = items;
    const isGap = offset > 0 && last !== undefined && (first === undefined || keyOf(first) > last);
    if (isGap && stepsBack < MAX_STEPS_BACK) {
      stepsBack += 1;
      offset = Math.max(0, offset - PAGE_SIZE / 2);
      continue;
    }
    for (const item of items) found.set(keyOf(item), item);
    onProgress(found.size, total);
    const end = items.at(-1);
    if (end === undefined || offset + items.length >= total) break;
    const key = keyOf(end);
    last = last === undefined || key > last ? key : last;
    offset += Math.max(1, items.length - 1);
  }
  return [...found].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, item]) => item);
}
