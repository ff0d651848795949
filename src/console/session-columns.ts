import {
  createColumnHelper,
  createSortedRowModel,
  rowSortingFeature,
  tableFeatures,
  type Row,
} from '@tanstack/react-table';
import { formatDuration, type Session } from '../client/index.ts';
import { line } from './format.ts';

/** The features of the table of sessions: it sorts. */
export const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
});

/** A row of the table. */
export type SessionRow = Row<typeof features, Session>;

const helper = createColumnHelper<typeof features, Session>();
const sortFn = (one: SessionRow, other: SessionRow, column: string): number =>
  compare(one.getValue(column), other.getValue(column)) ||
  compare(one.original.id, other.original.id);

/** The columns, in the order of sessionctl. */
export const columns = helper.columns([
  helper.accessor('id', { sortFn, sortDescFirst: false }),
  helper.accessor('user', { sortFn }),
  helper.accessor('host', { sortFn }),
  helper.accessor('db', { sortFn }),
  helper.accessor('command', { sortFn }),
  helper.accessor('time', { sortFn }),
  helper.accessor('state', { sortFn }),
  helper.accessor(({ transaction }) => transaction?.seconds ?? -1, { id: 'transaction', sortFn }),
  helper.accessor('info', { sortFn }),
]);

/** Returns the text of a cell. */
export function textOf(session: Session, column: string): string {
  const { id, time, transaction } = session;
  if (column === 'id') return id.toString();
  if (column === 'time') return formatDuration(time);
  if (column === 'transaction') return transaction ? formatDuration(transaction.seconds) : '';
  return line(session[column as 'user' | 'host' | 'db' | 'command' | 'state' | 'info']);
}

function compare(one: unknown, other: unknown): number {
  const [a, b] = [one as bigint, other as bigint];
  return a < b ? -1 : a > b ? 1 : 0;
}
