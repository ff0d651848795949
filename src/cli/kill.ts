import { confirmOnTerminal } from './ask.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { usageError } from './failures.ts';
import { killAll } from './kill-nodes.ts';
import { compareWithNewer, planKill } from './kill-plan.ts';
import { exitCodeOf, reportAsJson, printReport, type KillReport } from './kill-report.ts';
import type { KillResult, NodeKill } from './kill-run.ts';
import { idsOf, readKillSettings, type KillOptions } from './kill-settings.ts';
import { listFailure, listTrouble } from './list.ts';
import { listAll, type Connection, type ListedSession } from './listing.ts';
import { withProgress } from './progress.ts';
import { sessionTable } from './session-table.ts';
import { connect } from './settings.ts';
import type { CliContext } from './cli-context.ts';
import { visible } from './visible.ts';

/** Shows the sessions, asks, and ends them. Throws a usage error before it ends a session, or the error of a list. */
export async function kill(
  given: readonly string[],
  options: KillOptions,
  cli: CliContext,
): Promise<ExitCode> {
  const settings = readKillSettings(given, options);
  const ids = await idsOf(given, cli);
  const connection = connect(options, cli);
  const { messages, signal } = cli;
  const { sessions: listed, failures } = await withProgress(
    messages,
    'Reading the list',
    (progress) => listAll(connection, signal, progress),
  );
  for (const failure of failures) messages.line(messages.colors.red(listFailure(failure)));
  const all = connection.nodes.map(({ nodeId }) => nodeId);
  const unread = failures.map(({ node }) => node);
  const { sessions, missing } = planKill(listed, { all, unread }, ids, settings.passes);
  refuseTooMany(sessions.length, settings.max);
  const isNodeShown = all.length > 1;
  const end = (kills: readonly NodeKill[], changed: readonly ListedSession[] = []): ExitCode =>
    finish(cli, settings.isJson, {
      results: [
        ...kills.flatMap(({ results }) => results),
        ...changed.map((session): KillResult => ({ session, outcome: 'not_found' })),
      ],
      missing,
      isDryRun: settings.isDryRun,
      isNodeShown,
      isInterrupted: signal.aborted,
      isPartial: failures.length > 0,
      troubles: [
        // For people, these failures are printed above.
        ...(settings.isJson ? failures.map(listTrouble) : []),
        ...kills.flatMap(({ trouble }) => (trouble === undefined ? [] : [trouble])),
      ],
      requestIds: kills.flatMap(({ requestIds }) => requestIds),
    });
  if (sessions.length === 0) {
    if (missing.length === 0) messages.line('No session matches: no session was ended.');
    return end([]);
  }
  const table = sessionTable(sessions, messages, isNodeShown);
  messages.line(table);
  if (settings.isDryRun || options.yes === true) {
    return end(await killAll(connection, sessions, settings, cli));
  }
  if (!(await confirmOnTerminal(question(sessions.length, connection), table, cli))) {
    messages.line('No session was ended.');
    return EXIT.declined;
  }
  const newer = await readAgain(connection, sessions, signal);
  const { same, changed } = compareWithNewer(sessions, newer, settings.passes);
  return end(await killAll(connection, same, settings, cli), changed);
}

function refuseTooMany(found: number, max: number): void {
  if (found <= max) return;
  throw usageError(
    `${found} sessions match, more than --max ${max}: no session was ended.`,
    'Narrow the filters, or raise --max.',
  );
}

function question(sessions: number, { nodes }: Connection): string {
  const [only] = nodes;
  const where = nodes.length === 1 ? `node ${only?.nodeId ?? ''}` : `${nodes.length} nodes`;
  return `End ${sessions === 1 ? 'this session' : `these ${sessions} sessions`} on ${visible(where)}?`;
}

/** Reads the lists of the nodes of these sessions again. Rejects with the first error. */
async function readAgain(
  { client, nodes }: Connection,
  sessions: readonly ListedSession[],
  signal: AbortSignal,
): Promise<readonly ListedSession[]> {
  const concerned = nodes.filter(({ nodeId }) => sessions.some(({ node }) => node === nodeId));
  const { sessions: newer, failures } = await listAll({ client, nodes: concerned }, signal);
  for (const { error } of failures) throw error;
  return newer;
}

function finish({ output }: CliContext, isJson: boolean, report: KillReport): ExitCode {
  if (isJson) output.write(reportAsJson(report));
  else if (report.results.length + report.missing.length > 0) printReport(report, output);
  return exitCodeOf(report);
}
