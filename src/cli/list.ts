import { setTimeout as pause } from 'node:timers/promises';
import { SessionControlError } from '../client/index.ts';
import { bounded } from './bounded.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { CommandError, failureOf, usageError } from './failures.ts';
import { readCount, readFilter, readOrder, readWait, transactionFilter } from './filters.ts';
import type { Filter, FilterOptions, Order } from './filters.ts';
import { formatJson, formatSessions, LIST_FORMATS, readFormat } from './formats.ts';
import type { ListFormat } from './formats.ts';
import { groupRecord, groupsOf, groupTable, readGroupKey, type GroupKey } from './groups.ts';
import {
  listAll,
  nodeLabel,
  type Connection,
  type ListedSession,
  type ListFailure,
  type Listing,
} from './listing.ts';
import { withProgress } from './progress.ts';
import { sessionTable, wideTable } from './session-table.ts';
import { connect, type ConnectionOptions } from './settings.ts';
import type { CliContext } from './cli-context.ts';

/** The options of `list`. */
export interface ListOptions extends ConnectionOptions, FilterOptions {
  readonly sort?: string;
  readonly limit?: string;
  readonly watch?: string;
  readonly blocking?: boolean;
  readonly groupBy?: string;
  readonly output?: string;
}

/** The sessions of the list to show, and their order. */
interface View {
  readonly passes: Filter;
  readonly order: Order | undefined;
  readonly limit: number;
  readonly groupBy: GroupKey | undefined;
  readonly isBlocking: boolean;
  /** The flag of a filter that needs to know the transactions. */
  readonly transactionFilter: string | undefined;
}

/** The sessions that pass the filters, in order, and the number of all. */
interface Match {
  readonly found: readonly ListedSession[];
  readonly total: number;
}

/** Moves the cursor home and clears below it, so that the scrollback stays. */
const CLEAR = '\x1b[H\x1b[J';

/** Shows the sessions of the nodes. The exit code is 4 if the list of one of several nodes could not be read. */
export async function list(options: ListOptions, cli: CliContext): Promise<ExitCode> {
  const format = readFormat(options.output ?? 'table', LIST_FORMATS);
  const view = readView(options);
  const watchSeconds = options.watch === undefined ? undefined : readWait('--watch', options.watch);
  checkWatch(watchSeconds, format, view);
  const connection = await connect(options, cli);
  if (watchSeconds !== undefined) return watch(connection, view, watchSeconds, cli);
  const { output, messages, signal } = cli;
  const listing = await withProgress(messages, 'Reading the list', (progress) =>
    listAll(connection, signal, { progress, withTransactions: true }),
  );
  const match = await select(view, listing, connection, signal);
  const { groupBy, limit } = view;
  const isNodeShown = connection.nodes.length > 1;
  const shown = match.found.slice(0, limit);
  if (groupBy !== undefined) {
    const groups = groupsOf(match.found, groupBy).slice(0, limit);
    if (format === 'json') output.write(formatJson(groups.map((one) => groupRecord(one, groupBy))));
    else if (groups.length > 0) output.line(groupTable(groups, groupBy, output));
  } else if (format === 'wide') {
    if (shown.length > 0) output.line(wideTable(shown, output));
  } else if (format === 'table') {
    if (shown.length > 0) output.line(sessionTable(shown, output, isNodeShown));
  } else output.write(formatSessions(shown, format, isNodeShown));
  if (format === 'table' || format === 'wide') {
    messages.line(summary(groupBy === undefined ? shown.length : match.found.length, match));
    for (const reason of listing.noTransactions) messages.line(hiddenTransactions(reason));
  }
  for (const failure of listing.failures) messages.line(messages.colors.red(listFailure(failure)));
  return listing.failures.length === 0 ? EXIT.done : EXIT.failed;
}

function readView(options: ListOptions): View {
  const groupBy = options.groupBy === undefined ? undefined : readGroupKey(options.groupBy);
  if (groupBy !== undefined && options.sort !== undefined) {
    throw usageError(
      '--sort cannot be combined with --group-by.',
      'The largest group comes first.',
    );
  }
  const format = options.output ?? 'table';
  if (groupBy !== undefined && format !== 'table' && format !== 'json') {
    throw usageError('--group-by works only with the formats table and json.');
  }
  return {
    passes: readFilter(options),
    order: options.sort === undefined ? undefined : readOrder(options.sort),
    limit: options.limit === undefined ? Infinity : readCount('--limit', options.limit),
    groupBy,
    isBlocking: options.blocking === true,
    transactionFilter: transactionFilter(options),
  };
}

function checkWatch(seconds: number | undefined, format: ListFormat, { isBlocking }: View): void {
  if (seconds === undefined) return;
  if (seconds < 1) {
    throw usageError('--watch is shorter than a second.', 'Use at least 1s.');
  }
  if (format !== 'table') {
    throw usageError('--watch works only with the table format.', 'Leave out --output.');
  }
  if (isBlocking) {
    throw usageError(
      '--watch cannot be combined with --blocking: it would read the lock tables all the time.',
      'Use --waiting, or run `sessionctl blockers` when it is needed.',
    );
  }
}

/** Picks the sessions that match. Rejects if a filter needs transactions that a node does not show, or with an error of the service. */
async function select(
  { passes, order, isBlocking, transactionFilter: flag }: View,
  { sessions, noTransactions }: Listing,
  { client, nodes }: Connection,
  signal: AbortSignal,
): Promise<Match> {
  if (flag !== undefined) requireTransactions(flag, noTransactions);
  const blocking = new Set<string>();
  if (isBlocking) {
    for (const node of nodes) {
      const report = await client.blockers(node, signal);
      for (const { id } of report.blockers) blocking.add(`${node.nodeId}/${id ?? ''}`);
    }
  }
  const found = bounded(() => sessions.filter(passes)).filter(
    ({ node, id }) => !isBlocking || blocking.has(`${node}/${id}`),
  );
  return { found: order === undefined ? found : found.sort(order), total: sessions.length };
}

/** Throws if a filter needs transactions that a node does not show: otherwise no session would match. */
export function requireTransactions(flag: string, noTransactions: readonly string[]): void {
  const [reason] = noTransactions;
  if (reason === undefined) return;
  throw new CommandError(EXIT.refused, `${flag} needs the transactions. Not shown by ${reason}`);
}

/** Redraws the list until Ctrl-C. Shows an error in place of the list, and stops only if the service denies access. */
async function watch(
  connection: Connection,
  view: View,
  seconds: number,
  { output, signal }: CliContext,
): Promise<ExitCode> {
  while (!output.isClosed()) {
    let drawn: string;
    try {
      const listing = await listAll(connection, signal, { withTransactions: true });
      const match = await select(view, listing, connection, signal);
      drawn = draw(view, match, listing, connection, output);
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof SessionControlError) || error.kind === 'denied') throw error;
      drawn = output.colors.red(failureOf(error).line);
    }
    const head = `Every ${seconds} s, ${new Date().toLocaleTimeString('sv')}. Ctrl-C ends.`;
    output.write(`${output.isTerminal ? CLEAR : ''}${output.colors.dim(head)}\n${drawn}\n`);
    await pause(seconds * 1000, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) break;
  }
  return EXIT.done;
}

function draw(
  { groupBy, limit }: View,
  match: Match,
  { failures }: Listing,
  { nodes }: Connection,
  screen: CliContext['output'],
): string {
  const rows = screen.rows();
  // Four rows are taken: the screen title, the table header, the summary and the cursor.
  const room = rows === undefined ? Infinity : Math.max(1, rows - 4 - failures.length);
  const groups = groupBy === undefined ? [] : groupsOf(match.found, groupBy);
  const count = Math.min(limit, groupBy === undefined ? match.found.length : groups.length);
  const hidden = Math.max(0, count - room);
  const more = hidden > 0 ? ` ${hidden} more do not fit.` : '';
  const fitting = Math.min(limit, room);
  const table =
    groupBy === undefined
      ? sessionTable(match.found.slice(0, fitting), screen, nodes.length > 1)
      : groupTable(groups.slice(0, fitting), groupBy, screen);
  return [
    table,
    `${summary(groupBy === undefined ? count : match.found.length, match)}${more}`,
    ...failures.map((failure) => screen.colors.red(listFailure(failure))),
  ].join('\n');
}

/** Formats why the list of a node is missing, with the name of this program in front. */
export function listFailure(failure: ListFailure): string {
  return `sessionctl: ${listTrouble(failure)}`;
}

/** Formats why the list of a node is missing. */
export function listTrouble(failure: ListFailure): string {
  return `node ${nodeLabel(failure)}: ${failureOf(failure.error).line}`;
}

function hiddenTransactions(reason: string): string {
  return `TRX and ROWS are not known. Transactions are not shown by ${reason}`;
}

function summary(shown: number, { found, total }: Match): string {
  const sessions = total === 1 ? 'session' : 'sessions';
  if (shown < found.length && found.length < total) {
    return `${shown} of ${found.length} that match, ${total} in all.`;
  }
  return shown === total ? `${total} ${sessions}.` : `${shown} of ${total} ${sessions}.`;
}
