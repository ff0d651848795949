import { memo } from 'react';
import type { Change } from './changes.ts';
import { textOf, type SessionRow } from './session-columns.ts';
import { useWords } from './words.ts';

/** One session of the table. */
export const TableRow = memo(function TableRow({
  row,
  index,
  change,
  isSelected,
  onSelect,
  onShow,
}: {
  readonly row: SessionRow;
  readonly index: number;
  readonly change: Change | undefined;
  readonly isSelected: boolean;
  readonly onSelect: (keys: readonly string[], isChosen: boolean) => void;
  readonly onShow: (id: bigint) => void;
}) {
  const words = useWords().sessions;
  const { id } = row.original;
  return (
    <tr aria-rowindex={index + 2} className={change} aria-selected={isSelected}>
      <td className="tick">
        <input
          type="checkbox"
          aria-label={words.select(id)}
          data-focus={`tick ${row.id}`}
          checked={isSelected}
          onChange={(event) => {
            onSelect([row.id], event.target.checked);
          }}
        />
      </td>
      {row.getAllCells().map((cell) => {
        const text = textOf(row.original, cell.column.id);
        return (
          <td key={cell.id} className={cell.column.id} title={text}>
            {cell.column.id === 'id' ? (
              <button
                type="button"
                className="link"
                aria-label={words.details(id)}
                data-focus={`id ${row.id}`}
                onClick={() => {
                  onShow(id);
                }}
              >
                {text}
              </button>
            ) : (
              text
            )}
          </td>
        );
      })}
    </tr>
  );
});
