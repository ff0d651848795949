import { useTable } from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useLayoutEffect, useRef } from 'react';
import type { Session } from '../client/index.ts';
import { useChanges } from './changes.ts';
import { keyOf } from './selection.tsx';
import { columns, features } from './session-columns.ts';
import { TableRow } from './session-row.tsx';
import { useWords } from './words.ts';

const ROW_PX = 33;
const ARROWS = { asc: ' ▲', desc: ' ▼' } as const;
const ARIA_SORTS = { asc: 'ascending', desc: 'descending' } as const;

/** The sessions in a table that sorts and selects. The document has only the rows in view. */
export function SessionTable({
  rows: sessions,
  all,
  readAt,
  selected,
  onSelect,
  onShow,
}: {
  readonly rows: readonly Session[];
  /** The whole list, with the sessions that the filter hides. */
  readonly all: readonly Session[];
  readonly readAt: number;
  readonly selected: ReadonlySet<string>;
  readonly onSelect: (keys: readonly string[], isChosen: boolean) => void;
  readonly onShow: (id: bigint) => void;
}) {
  const words = useWords().sessions;
  const frame = useRef<HTMLDivElement>(null);
  const changes = useChanges(all, readAt);
  const table = useTable({ features, columns, data: sessions, getRowId: keyOf });
  const { rows } = table.getRowModel();
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW_PX,
    getItemKey: (index) => rows[index]?.id ?? index,
    overscan: 12,
  });
  useFocusKept(frame, readAt);
  const items = virtualizer.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = virtualizer.getTotalSize() - (items.at(-1)?.end ?? 0);
  const keys = rows.map(({ id }) => id);
  const chosen = keys.filter((key) => selected.has(key)).length;
  return (
    <div className="frame" ref={frame} tabIndex={0} role="region" aria-label={words.caption}>
      <table aria-rowcount={rows.length + 1} aria-label={words.caption} className="sessions">
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id} aria-rowindex={1}>
              <th className="tick">
                <input
                  type="checkbox"
                  aria-label={words.selectAll}
                  checked={chosen > 0 && chosen === keys.length}
                  ref={(box) => {
                    if (box) box.indeterminate = chosen > 0 && chosen < keys.length;
                  }}
                  onChange={(event) => {
                    onSelect(keys, event.target.checked);
                  }}
                />
              </th>
              {group.headers.map(({ id, column }) => {
                const order = column.getIsSorted();
                return (
                  <th
                    key={id}
                    className={id}
                    scope="col"
                    aria-sort={order === false ? undefined : ARIA_SORTS[order]}
                  >
                    <button
                      type="button"
                      className="link"
                      onClick={column.getToggleSortingHandler()}
                    >
                      {words[id as keyof Session]}
                      {order !== false && <span aria-hidden>{ARROWS[order]}</span>}
                    </button>
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody>
          <Spacer height={before} />
          {items.map(({ key, index }) => {
            const row = rows[index];
            if (row === undefined) return null;
            return (
              <TableRow
                key={key}
                row={row}
                index={index}
                change={changes.get(row.id)}
                isSelected={selected.has(row.id)}
                onSelect={onSelect}
                onShow={onShow}
              />
            );
          })}
          <Spacer height={after} />
        </tbody>
      </table>
    </div>
  );
}

/** An empty row as high as the rows that are not in the document. */
function Spacer({ height }: { readonly height: number }) {
  if (height <= 0) return null;
  return (
    <tr aria-hidden="true" className="spacer">
      <td colSpan={columns.length + 1} style={{ height }} />
    </tr>
  );
}

/** Gives the focus back to a row that a refresh has moved: a browser drops the focus of an element that moves. */
function useFocusKept(frame: React.RefObject<HTMLDivElement | null>, readAt: number): void {
  const last = useRef<string>(undefined);
  useLayoutEffect(() => {
    const remember = (event: FocusEvent): void => {
      const element = event.target as HTMLElement;
      last.current = frame.current?.contains(element) ? element.dataset['focus'] : undefined;
    };
    document.addEventListener('focusin', remember);
    return () => {
      document.removeEventListener('focusin', remember);
    };
  }, [frame]);
  useLayoutEffect(() => {
    if (last.current === undefined || document.activeElement !== document.body) return;
    const name = CSS.escape(last.current);
    const element = frame.current?.querySelector<HTMLElement>(`[data-focus="${name}"]`);
    element?.focus({ preventScroll: true });
  }, [frame, readAt]);
}
