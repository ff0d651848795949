import type { KilledSession, NodeEntry } from '../client/index.ts';
import type { CliContext, Screen } from './cli-context.ts';
import { formatDuration, parseDuration } from './durations.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { usageError } from './failures.ts';
import { csvOf, formatJson, readFormat } from './formats.ts';
import { NODE_ID } from './node-names.ts';
import { withProgress } from './progress.ts';
import { reach, type ConnectionOptions, type Reach } from './settings.ts';
import { renderTable, type Column } from './table.ts';

/** The options of `history`. */
export interface HistoryCommandOptions extends ConnectionOptions {
  readonly since?: string;
  readonly until?: string;
  readonly user?: string;
  readonly caller?: string;
  readonly output?: string;
}

/** An instance whose kills are read, and the chosen node if there is one. */
interface Place {
  readonly instanceId: string;
  readonly nodeId: string | undefined;
}

const TIME_COLUMN: Column = { title: 'KILLED', minWidth: 19 };
const NODE_COLUMN: Column = { title: 'NODE', minWidth: 9, hardMinWidth: 4, maxWidth: 36 };
const COLUMNS: readonly Column[] = [
  { title: 'ID', minWidth: 4, maxWidth: 20, isNumber: true },
  { title: 'USER', minWidth: 8, hardMinWidth: 4, maxWidth: 32 },
  { title: 'HOST', minWidth: 12, hardMinWidth: 6, maxWidth: 40 },
  { title: 'DB', minWidth: 4, hardMinWidth: 2, maxWidth: 32 },
  { title: 'COMMAND', minWidth: 7, maxWidth: 16 },
  { title: 'TIME', minWidth: 5, isNumber: true },
  { title: 'OUTCOME', minWidth: 9 },
  { title: 'CALLER', minWidth: 6, hardMinWidth: 4, maxWidth: 32 },
  { title: 'REASON', minWidth: 10, hardMinWidth: 6 },
];

/** Shows the kills, the newest first. The exit code is 4 if the service could not read all of its records. */
export async function history(options: HistoryCommandOptions, cli: CliContext): Promise<ExitCode> {
  const format = readFormat(options.output ?? 'table', ['table', 'json', 'csv']);
  const now = Date.now();
  const period = {
    since: readTime('--since', options.since ?? '24h', now),
    until: options.until === undefined ? undefined : readTime('--until', options.until, now),
  };
  if (period.since >= (period.until ?? new Date(now))) {
    throw usageError('--since must be earlier than --until.', 'Without --until the end is now.');
  }
  const { output, messages, signal } = cli;
  const { user, caller } = options;
  const parts = await withProgress(messages, 'Reading the history', async () => {
    const project = reach(options, cli);
    const places = await placesOf(project, options, cli);
    const read = places.map(({ instanceId, nodeId }) =>
      project.client.history(
        { projectId: project.projectId, instanceId },
        { ...period, nodeId, user, caller, signal },
      ),
    );
    return Promise.all(read);
  });
  const kills = parts
    .flatMap((part) => part.kills)
    .sort((one, other) => other.killTime.getTime() - one.killTime.getTime());
  if (format === 'json') output.write(formatJson(kills.map(recordOf)));
  else if (format === 'csv')
    output.write(csvOf([FIELDS, ...kills.map((kill) => Object.values(recordOf(kill)))]));
  else {
    if (kills.length > 0) output.line(historyTable(kills, output));
    messages.line(`${kills.length} ${kills.length === 1 ? 'kill' : 'kills'}.`);
  }
  if (parts.some(({ isReplicaOnly }) => isReplicaOnly)) {
    messages.line('sessionctl: kills by other replicas of the service can be missing');
  }
  if (parts.every(({ isComplete }) => isComplete)) return EXIT.done;
  const line = 'sessionctl: the service could not read all of its records: kills can be missing';
  messages.line(messages.colors.red(line));
  return EXIT.failed;
}

/** Parses a time such as `2h` (ago), `2026-11-30` or `2026-11-30T03:00`. Throws a usage error for any other text. */
function readTime(flag: string, given: string, now: number): Date {
  const seconds = parseDuration(given);
  const isDate = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/.test(given);
  const local = given.length === '2026-11-30'.length ? `${given}T00:00` : given;
  const time = seconds === undefined ? new Date(local) : new Date(now - seconds * 1000);
  if ((seconds !== undefined || isDate) && time.getTime() >= 0) return time;
  throw usageError(
    `${flag} ${given} is no time.`,
    'Give a duration before now, such as 2h, or a time such as 2026-11-30T03:00.',
  );
}

/** Finds the nodes by their names or ids. Without a node, the place is the whole instance. */
async function placesOf(
  { client, projectId, instanceId }: Reach,
  { node }: ConnectionOptions,
  { environment, signal }: CliContext,
): Promise<readonly Place[]> {
  const given = (node ?? environment['SESSIONCTL_NODE']?.split(',') ?? []).filter((one) => one);
  const isById = given.every((one) => NODE_ID.test(one));
  if (instanceId !== undefined && isById) {
    if (given.length === 0) return [{ instanceId, nodeId: undefined }];
    return [...new Set(given)].map((nodeId) => ({ instanceId, nodeId }));
  }
  if (given.length === 0) {
    throw usageError('The instance is missing.', 'Give --instance, or --node with a name.');
  }
  const { nodes } = await client.nodes(projectId, { signal });
  return [...new Set(given.map((one) => nodeNamed(one, nodes)))];
}

function nodeNamed(given: string, nodes: readonly NodeEntry[]): NodeEntry {
  const found = nodes.find(({ nodeId, name }) => nodeId === given || name === given);
  if (found !== undefined) return found;
  throw usageError(
    `The project has no node ${given}.`,
    'If the node has left the project, give its id and --instance.',
  );
}

function historyTable(kills: readonly KilledSession[], screen: Screen): string {
  const isNodeShown = new Set(kills.map(({ nodeId }) => nodeId)).size > 1;
  const rows = kills.map((kill) => [
    kill.killTime.toLocaleString('sv'),
    ...(isNodeShown ? [kill.nodeId] : []),
    ...[kill.id.toString(), kill.user, kill.host, kill.db, kill.command],
    formatDuration(kill.time),
    kill.scope === 'statement' && kill.outcome === 'killed' ? 'stopped' : kill.outcome,
    ...[kill.caller, kill.reason ?? ''],
  ]);
  const columns = [TIME_COLUMN, ...(isNodeShown ? [NODE_COLUMN] : []), ...COLUMNS];
  return renderTable(columns, rows, screen.columns(), screen.colors.bold);
}

/** The fields of a kill in the order of the output. */
const FIELDS = [
  ...['kill_time', 'instance_id', 'node_id', 'session_id', 'user', 'host', 'db', 'command'],
  ...['time', 'state', 'info', 'outcome', 'scope', 'caller', 'reason', 'request_id', 'task_id'],
];

function recordOf(kill: KilledSession): Record<string, bigint | number | string | null> {
  const { user, host, db, command, time, state, info, outcome, scope, caller } = kill;
  return {
    kill_time: kill.killTime.toISOString(),
    instance_id: kill.instanceId,
    node_id: kill.nodeId,
    session_id: kill.id,
    ...{ user, host, db, command, time, state, info, outcome, scope, caller },
    reason: kill.reason ?? null,
    request_id: kill.requestId,
    task_id: kill.taskId ?? null,
  };
}
