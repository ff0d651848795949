import { confirmOnTerminal } from './ask.ts';
import { formatCount } from './durations.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { CommandError, usageError } from './failures.ts';
import { killAll } from './kill-nodes.ts';
import { costOf, question, summaryOf, type KillCost } from './kill-question.ts';
import { exitCodeOf, reportAsJson, printReport, type KillReport } from './kill-report.ts';
import type { KillResult, NodeKill } from './kill-run.ts';
import { idsOf, readKillSettings, type KillOptions, type KillSettings } from './kill-settings.ts';
import { listFailure, listTrouble, requireTransactions } from './list.ts';
import type { Connection, ListedSession } from './listing.ts';
import { withProgress } from './progress.ts';
import type { GivenId } from './session-ids.ts';
import { sessionTable } from './session-table.ts';
import { connect } from './settings.ts';
import type { CliContext } from './cli-context.ts';
import { findVictims, findVictimsAgain } from './victims.ts';
import { visible } from './visible.ts';

/** The question shows at most this number of sessions. */
const MAX_SHOWN = 10;

/** Asks a question about the text that the user was shown. Resolves to true only if the answer is yes. */
export type Ask = (question: string, shown: string) => Promise<boolean>;

/** The error of a kill that would have to undo more rows than allowed. */
export class TooCostly extends CommandError {}

/** Shows the sessions, asks, and ends them. Throws like `killThrough`. */
export async function kill(
  given: readonly string[],
  options: KillOptions,
  cli: CliContext,
): Promise<ExitCode> {
  const settings = readKillSettings(given, options);
  const ids = await idsOf(given, cli);
  const connection = await connect(options, cli);
  const ask: Ask = (message, text) => confirmOnTerminal(message, text, cli);
  return killThrough(connection, ids, settings, options.yes === true ? undefined : ask, cli);
}

/**
 * Shows the sessions, asks, and ends them. Without `ask`, there is no question.
 * Throws a usage error before it ends a session, `TooCostly` among them, or the error of a list.
 */
export async function killThrough(
  connection: Connection,
  ids: readonly GivenId[] | undefined,
  settings: KillSettings,
  ask: Ask | undefined,
  cli: CliContext,
): Promise<ExitCode> {
  const { messages, signal } = cli;
  checkReason(settings, connection, cli);
  const { sessions, missing, listing, remarks } = await withProgress(
    messages,
    'Reading the list',
    (progress) => findVictims(connection, ids, settings, signal, progress),
  );
  const { failures } = listing;
  const { transactionFilter: flag } = settings;
  if (flag !== undefined) requireTransactions(flag, listing.noTransactions);
  for (const failure of failures) messages.line(messages.colors.red(listFailure(failure)));
  for (const remark of remarks) messages.line(messages.colors.yellow(visible(remark)));
  refuseTooMany(sessions.length, settings.max);
  const cost = costOf(sessions, listing.noTransactions);
  refuseTooCostly(cost, settings, cli);
  const { nodes } = connection;
  const isNodeShown = nodes.length > 1;
  const end = (kills: readonly NodeKill[], changed: readonly ListedSession[] = []): ExitCode =>
    finish(cli, settings.isJson, {
      results: [
        ...kills.flatMap(({ results }) => results),
        ...changed.map((session): KillResult => ({ session, outcome: 'not_found' })),
      ],
      missing,
      isDryRun: settings.isDryRun,
      isNodeShown,
      scope: settings.scope,
      nodes,
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
    const code = end([]);
    return remarks.length > 0 && code === EXIT.done ? EXIT.notFound : code;
  }
  const shown = settings.isDryRun ? sessions : sessions.slice(0, MAX_SHOWN);
  const text = [
    sessionTable(shown, messages, isNodeShown),
    ...summaryOf(sessions, shown.length, cost, settings.scope),
  ].join('\n');
  messages.line(text);
  if (settings.isDryRun || ask === undefined) {
    return end(await killAll(connection, sessions, settings, cli));
  }
  if (!(await ask(question(sessions, nodes, settings.scope), text))) {
    messages.line('No session was ended.');
    return EXIT.declined;
  }
  const { same, changed } = await findVictimsAgain(connection, sessions, settings, signal);
  return end(await killAll(connection, same, settings, cli), changed);
}

function refuseTooMany(found: number, max: number): void {
  if (found <= max) return;
  throw usageError(
    `${found} sessions match, more than --max ${max}: no session was ended.`,
    'Narrow the filters, or raise --max.',
  );
}

/** Throws a usage error if a kill has to undo more rows than allowed. A dry run only reports it. */
function refuseTooCostly(
  { rows }: KillCost,
  { maxRollbackRows, isDryRun }: KillSettings,
  { messages }: CliContext,
): void {
  if (maxRollbackRows === undefined || rows === undefined || rows <= maxRollbackRows) return;
  const what = `The kill has to undo ${formatCount(rows)} rows, more than --max-rollback-rows ${maxRollbackRows}`;
  if (!isDryRun) {
    throw new TooCostly(
      EXIT.usage,
      `${what}: no session was ended.`,
      'A rollback holds its locks until it ends. Use --force to end the sessions anyway.',
    );
  }
  messages.line(messages.colors.yellow(`${what}: it needs --force.`));
}

/** Throws a usage error if the service requires a reason. Warns if it does not record the reason. */
function checkReason(
  { reason, isDryRun }: KillSettings,
  { caller }: Connection,
  { messages }: CliContext,
): void {
  if (caller?.isReasonRequired && reason === undefined && !isDryRun) {
    throw usageError('The service requires a reason for each kill.', 'Give it with --reason.');
  }
  if (caller?.isAudited === false && reason !== undefined) {
    messages.line('sessionctl: the service keeps no audit: it does not record --reason');
  }
}

function finish({ output, messages }: CliContext, isJson: boolean, report: KillReport): ExitCode {
  if (isJson) output.write(reportAsJson(report));
  else if (report.results.length + report.missing.length > 0) printReport(report, output);
  const { requestIds } = report;
  if (requestIds.length > 0) {
    messages.line(messages.colors.dim(visible(`Request id: ${requestIds.join(', ')}`)));
  }
  return exitCodeOf(report);
}
