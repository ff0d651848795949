import type { NodeAddress } from '../client/index.ts';
import { askWhether } from './ask.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { failureOf, usageError } from './failures.ts';
import {
  count,
  duration,
  hasFilter,
  readFilter,
  type Filter,
  type FilterOptions,
} from './filters.ts';
import { readFormat } from './formats.ts';
import { compareWithNewer, planKill, type KillPlan } from './kill-plan.ts';
import { exitCodeOf, reportAsJson, tellReport, type KillReport } from './kill-report.ts';
import { killOn, type KillResult, type NodeKill } from './kill-run.ts';
import { listAll, type Connection, type ListedSession } from './listing.ts';
import { withProgress, type Progress } from './progress.ts';
import { readAll, readIds, type GivenId } from './session-ids.ts';
import { sessionName, sessionTable } from './session-table.ts';
import { connect, type ConnectionOptions } from './settings.ts';
import type { Surroundings } from './surroundings.ts';
import { visible } from './visible.ts';

/** The options of `kill`. */
export interface KillOptions extends ConnectionOptions, FilterOptions {
  readonly all?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly max?: string;
  readonly wait?: string;
  readonly reason?: string;
  readonly output?: string;
}

interface Settings {
  readonly passes: Filter;
  readonly max: number;
  readonly waitSeconds: number | undefined;
  readonly isJson: boolean;
  readonly isDryRun: boolean;
  readonly reason: string | undefined;
}

const DEFAULT_MAX = '100';

/** Ends sessions, after it has shown which and has asked. */
export async function kill(
  given: readonly string[],
  options: KillOptions,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const settings = readSettings(given, options);
  const ids = await idsOf(given, surroundings);
  const connection = connect(options, surroundings);
  const isNodeShown = connection.nodes.length > 1;
  const { messages, signal } = surroundings;
  const listed = await withProgress(messages, 'Reading the list', (progress) =>
    listAll(connection, signal, progress),
  );
  const plan = planKill(
    listed,
    connection.nodes.map(({ nodeId }) => nodeId),
    ids,
    settings.passes,
  );
  const { sessions } = plan;
  refuseTooMany(sessions.length, settings.max);
  if (sessions.length === 0) {
    if (plan.missing.length === 0) messages.line('No session matches: there is nobody to end.');
    return finish(plan, [], [], settings, surroundings, isNodeShown);
  }
  messages.line(sessionTable(sessions, messages, isNodeShown));
  const isAsked = !settings.isDryRun && options.yes !== true;
  if (isAsked && !(await askWhether(question(sessions.length, connection), surroundings))) {
    messages.line('Nobody was ended.');
    return EXIT.declined;
  }
  const { same, changed } = isAsked
    ? compareWithNewer(sessions, await listAll(connection, signal), settings.passes)
    : { same: sessions, changed: [] };
  const kills = await killAll(connection, same, settings, surroundings);
  const left = changed.map((session): KillResult => ({ session, outcome: 'not_found' }));
  return finish(plan, kills, left, settings, surroundings, isNodeShown);
}

function readSettings(given: readonly string[], options: KillOptions): Settings {
  const isFiltered = hasFilter(options);
  if (options.all === true && (given.length > 0 || isFiltered)) {
    throw usageError('--all goes with no ids and no filters.');
  }
  if (given.length === 0 && !isFiltered && options.all !== true) {
    throw usageError('Whom? Give ids or filters.', 'To end all user sessions, say --all.');
  }
  const { reason } = options;
  if (reason !== undefined && !/^(?=\S)[^\p{C}\p{Zl}\p{Zp}]{1,256}$/u.test(reason)) {
    throw usageError('--reason must be 1 to 256 visible characters.');
  }
  return {
    passes: readFilter(options),
    max: count('--max', options.max ?? DEFAULT_MAX),
    waitSeconds: options.wait === undefined ? undefined : duration('--wait', options.wait),
    isJson: readFormat(options.output ?? 'text', ['text', 'json']) === 'json',
    isDryRun: options.dryRun === true,
    reason,
  };
}

async function idsOf(
  given: readonly string[],
  { input }: Surroundings,
): Promise<readonly GivenId[] | undefined> {
  if (given.length === 0) return undefined;
  const texts = given.includes('-')
    ? [...given.filter((word) => word !== '-'), await readAll(input)]
    : given;
  const ids = readIds(texts);
  if (ids.length > 0) return ids;
  throw usageError('No ids came on standard input: nobody was ended.');
}

function refuseTooMany(found: number, max: number): void {
  if (found <= max) return;
  throw usageError(
    `${found} sessions match, more than --max ${max}: nobody was ended.`,
    'Narrow the filters, or raise --max.',
  );
}

function question(sessions: number, { nodes }: Connection): string {
  const [only] = nodes;
  const where = nodes.length === 1 ? `node ${only?.nodeId ?? ''}` : `${nodes.length} nodes`;
  return `End ${sessions === 1 ? 'this session' : `these ${sessions} sessions`} on ${visible(where)}?`;
}

/** Ends them on all nodes at once. Rejects when none can have been ended anywhere. */
async function killAll(
  { client, nodes }: Connection,
  sessions: readonly ListedSession[],
  settings: Settings,
  { messages, signal }: Surroundings,
): Promise<NodeKill[]> {
  const concerned = nodes
    .map((node) => ({ node, sessions: sessions.filter(({ node: id }) => id === node.nodeId) }))
    .filter(({ sessions: some }) => some.length > 0);
  const leaving = new Map<string, readonly ListedSession[]>();
  const begun = performance.now();
  const killNode = (node: NodeAddress, some: readonly ListedSession[], progress: Progress) =>
    killOn(client, node, some, {
      ...settings,
      signal,
      onLeaving: (listed) => {
        leaving.set(node.nodeId, listed);
        progress.tell(
          waiting([...leaving.values()].flat(), sessions.length, performance.now() - begun),
        );
      },
    });
  const ended = await withProgress(messages, `Ending ${sessions.length} sessions`, (progress) =>
    Promise.allSettled(concerned.map(({ node, sessions: some }) => killNode(node, some, progress))),
  );
  const [firstError] = ended.filter((result) => result.status === 'rejected');
  if (firstError !== undefined && ended.every(({ status }) => status === 'rejected')) {
    throw firstError.reason;
  }
  return ended.map((result, index) =>
    result.status === 'fulfilled'
      ? result.value
      : notEnded(concerned[index]?.sessions ?? [], result.reason),
  );
}

function notEnded(sessions: readonly ListedSession[], error: unknown): NodeKill {
  return {
    results: sessions.map((session) => ({ session, outcome: 'failed' })),
    trouble: failureOf(error).line,
    requestIds: [],
  };
}

function waiting(leaving: readonly ListedSession[], all: number, ms: number): string {
  const names = leaving.map((session) => {
    const isRollingBack = /rollback/i.test(session.state);
    return `${sessionName(session)}${isRollingBack ? ' (rolling back)' : ''}`;
  });
  const seconds = Math.round(ms / 1000);
  return visible(
    `${all - leaving.length} of ${all} have left the node after ${seconds} s. Still there: ${names.join(', ') || 'none'}`,
  );
}

function finish(
  { missing }: KillPlan,
  kills: readonly NodeKill[],
  left: readonly KillResult[],
  { isDryRun, isJson }: Settings,
  { output, signal }: Surroundings,
  isNodeShown: boolean,
): ExitCode {
  const report: KillReport = {
    results: [...kills.flatMap(({ results }) => results), ...left],
    missing,
    isDryRun,
    isNodeShown,
    isInterrupted: signal.aborted,
    troubles: kills.flatMap(({ trouble }) => (trouble === undefined ? [] : [trouble])),
    requestIds: kills.flatMap(({ requestIds }) => requestIds),
  };
  if (isJson) output.write(reportAsJson(report));
  else if (report.results.length + missing.length > 0) tellReport(report, output);
  return exitCodeOf(report);
}
