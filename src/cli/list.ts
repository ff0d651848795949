import { setTimeout as pause } from 'node:timers/promises';
import { SessionControlError } from '../client/index.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { failureOf, usageError } from './failures.ts';
import { readCount, readFilter, readOrder, readWait, type FilterOptions } from './filters.ts';
import { formatSessions, LIST_FORMATS, readFormat } from './formats.ts';
import {
  listAll,
  type Connection,
  type ListedSession,
  type ListFailure,
  type Listing,
} from './listing.ts';
import { withProgress } from './progress.ts';
import { sessionTable } from './session-table.ts';
import { connect, type ConnectionOptions } from './settings.ts';
import type { CliContext } from './cli-context.ts';
import { visible } from './visible.ts';

/** The options of `list`. */
export interface ListOptions extends ConnectionOptions, FilterOptions {
  readonly sort?: string;
  readonly limit?: string;
  readonly watch?: string;
  readonly output?: string;
}

type Select = (sessions: readonly ListedSession[]) => ListedSession[];

/** Moves the cursor home and clears below it, so that the scrollback stays. */
const CLEAR = '\x1b[H\x1b[J';

/** Shows the sessions of the nodes. The exit code is 4 if the list of one of several nodes could not be read. */
export async function list(options: ListOptions, cli: CliContext): Promise<ExitCode> {
  const format = readFormat(options.output ?? 'table', LIST_FORMATS);
  const select = readSelection(options);
  const watchSeconds =
    options.watch === undefined ? undefined : Math.max(1, readWait('--watch', options.watch));
  if (watchSeconds !== undefined && format !== 'table') {
    throw usageError('--watch works only with the table format.', 'Leave out --output.');
  }
  const connection = connect(options, cli);
  if (watchSeconds !== undefined) return watch(connection, select, watchSeconds, cli);
  const { output, messages, signal } = cli;
  const { sessions: all, failures } = await withProgress(messages, 'Reading the list', (progress) =>
    listAll(connection, signal, progress),
  );
  const sessions = select(all);
  const isNodeShown = connection.nodes.length > 1;
  if (format !== 'table') {
    output.write(formatSessions(sessions, format, isNodeShown));
  } else {
    if (sessions.length > 0) output.line(sessionTable(sessions, output, isNodeShown));
    messages.line(summary(sessions.length, all.length));
  }
  for (const failure of failures) messages.line(messages.colors.red(listFailure(failure)));
  return failures.length === 0 ? EXIT.done : EXIT.failed;
}

function readSelection(options: ListOptions): Select {
  const passes = readFilter(options);
  const order = options.sort === undefined ? undefined : readOrder(options.sort);
  const limit = options.limit === undefined ? undefined : readCount('--limit', options.limit);
  return (sessions) => {
    const found = sessions.filter(passes);
    if (order !== undefined) found.sort(order);
    return found.slice(0, limit);
  };
}

/** Redraws the list until Ctrl-C. Shows an error in place of the list, and stops only if the service denies access. */
async function watch(
  connection: Connection,
  select: Select,
  seconds: number,
  { output, signal }: CliContext,
): Promise<ExitCode> {
  while (!output.isClosed()) {
    let drawn: string;
    try {
      drawn = draw(select, await listAll(connection, signal), connection, output);
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
  select: Select,
  { sessions: all, failures }: Listing,
  { nodes }: Connection,
  screen: CliContext['output'],
): string {
  const sessions = select(all);
  const rows = screen.rows();
  // Four rows are taken: the screen title, the table header, the summary and the cursor.
  const room = rows === undefined ? undefined : Math.max(1, rows - 4 - failures.length);
  const shown = sessions.slice(0, room);
  const hidden = sessions.length - shown.length;
  const more = hidden > 0 ? ` ${hidden} more do not fit.` : '';
  return [
    sessionTable(shown, screen, nodes.length > 1),
    `${summary(sessions.length, all.length)}${more}`,
    ...failures.map((failure) => screen.colors.red(listFailure(failure))),
  ].join('\n');
}

/** Formats why the list of a node is missing, with the name of this program in front. */
export function listFailure(failure: ListFailure): string {
  return `sessionctl: ${listTrouble(failure)}`;
}

/** Formats why the list of a node is missing. */
export function listTrouble({ node, error }: ListFailure): string {
  return `node ${visible(node)}: ${failureOf(error).line}`;
}

function summary(shown: number, all: number): string {
  const sessions = all === 1 ? 'session' : 'sessions';
  return shown === all ? `${all} ${sessions}.` : `${shown} of ${all} ${sessions}.`;
}
