import type { Outcome } from '../client/index.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { formatCount, formatDuration } from './durations.ts';
import { formatJson, recordOf } from './formats.ts';
import type { MissingId } from './kill-plan.ts';
import { nodeLabel, type NamedNode } from './listing.ts';
import type { KillResult } from './kill-run.ts';
import { sessionName } from './session-table.ts';
import type { Screen } from './cli-context.ts';
import { visible } from './visible.ts';

/** The result of a whole kill. */
export interface KillReport {
  readonly results: readonly KillResult[];
  readonly missing: readonly MissingId[];
  readonly isDryRun: boolean;
  readonly isNodeShown: boolean;
  readonly scope: 'session' | 'statement';
  readonly nodes: readonly NamedNode[];
  readonly isInterrupted: boolean;
  /** True if the list of a node could not be read. */
  readonly isPartial: boolean;
  readonly troubles: readonly string[];
  readonly requestIds: readonly string[];
}

const REASONS: Readonly<Record<MissingId['why'], string>> = {
  not_listed: 'no session has this id',
  filtered_out: 'the filters exclude it',
  not_read: 'the list of the node could not be read',
};
const KILLED: ReadonlySet<Outcome> = new Set([
  'killed',
  'gone',
  'rolling_back',
  'would_kill',
  'stopped',
]);

/** Returns the exit code of a kill. */
export function exitCodeOf(report: KillReport): ExitCode {
  const { results, missing, isDryRun, isInterrupted, isPartial } = report;
  const outcomes = new Set(results.map(({ outcome }) => outcome));
  if (isInterrupted) return EXIT.interrupted;
  if (isPartial || outcomes.has('failed') || outcomes.has('unknown')) return EXIT.failed;
  if (isDryRun) return EXIT.done;
  return outcomes.has('not_found') || outcomes.has('idle') || missing.length > 0
    ? EXIT.notFound
    : EXIT.done;
}

/** Prints the report for people: a line with the counts, then a line for each session that was not killed or still rolls back. */
export function printReport(report: KillReport, { colors, line }: Screen): void {
  const { results, missing, isDryRun, isNodeShown, troubles } = report;
  const names = new Map(report.nodes.map(({ nodeId, name }) => [nodeId, name]));
  const node = (id: string): string =>
    isNodeShown ? ` on ${nodeLabel({ node: id, nodeName: names.get(id) })}` : '';
  const print = (outcome: Outcome, what: string, color: (text: string) => string): void => {
    for (const result of results.filter((each) => each.outcome === outcome)) {
      const { session } = result;
      const text = `${what}: ${sessionName(session)}${node(session.node)}, ${session.db || 'no database'}, ${formatDuration(session.time)}`;
      line(color(visible(`${text}${restOf(result)}`)));
    }
  };
  line(colors.bold(counts(report)));
  print('rolling_back', 'Still rolling back', colors.yellow);
  if (!isDryRun) print('not_found', 'Skipped, because it has ended or changed', colors.yellow);
  else print('not_found', 'Would not be found', colors.yellow);
  print('idle', 'Ran no statement', colors.yellow);
  print('failed', isDryRun ? 'Would not be killed' : 'Not killed', colors.red);
  print('unknown', 'Outcome unknown', colors.red);
  for (const { id, node: where, why } of missing) {
    const what = why === 'not_read' ? 'Not killed' : 'Not found';
    line(colors.yellow(`${what}: ${id}${node(where)}, ${REASONS[why]}`));
  }
  for (const trouble of new Set(troubles)) line(colors.red(visible(trouble)));
}

/** Formats the rest of a rollback; an empty text if it is not known. */
function restOf({ outcome, rowsLeft, secondsLeft }: KillResult): string {
  if (outcome !== 'rolling_back' || rowsLeft === undefined) return '';
  const time = secondsLeft === undefined ? '' : `, about ${formatDuration(secondsLeft)}`;
  return `; ${formatCount(rowsLeft)} rows left${time}`;
}

/** Formats the report as JSON for programs. */
export function reportAsJson(report: KillReport): string {
  const { results, missing, isDryRun, isInterrupted, troubles, requestIds } = report;
  const names = new Map(report.nodes.map(({ nodeId, name }) => [nodeId, name]));
  return formatJson({
    dry_run: isDryRun,
    scope: report.scope,
    interrupted: isInterrupted,
    sessions: [
      ...results.map((result) => ({
        ...recordOf(result.session),
        outcome: result.outcome,
        ...(result.outcome === 'rolling_back' && {
          rows_left: result.rowsLeft,
          seconds_left: result.secondsLeft,
        }),
        ...(result.isTransactionOpen !== undefined && {
          transaction_open: result.isTransactionOpen,
        }),
      })),
      ...missing.map(({ node, id, why }) => ({
        ...{ node, id },
        node_name: names.get(node) ?? null,
        outcome: why === 'not_read' ? 'failed' : 'not_found',
      })),
    ],
    troubles,
    request_ids: requestIds,
  });
}

function counts({ results, missing, isDryRun, scope }: KillReport): string {
  const count = (outcome: Outcome): number =>
    results.filter((result) => result.outcome === outcome).length;
  const killed = results.filter(({ outcome }) => KILLED.has(outcome)).length;
  const detail = [
    ...(count('gone') > 0 ? [`${count('gone')} gone`] : []),
    ...(count('rolling_back') > 0 ? [`${count('rolling_back')} rolling back`] : []),
  ].join(', ');
  const unread = missing.filter(({ why }) => why === 'not_read').length;
  const failed = count('failed') + unread;
  const rest = [
    `${count('not_found') + missing.length - unread} not found`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(count('idle') > 0 ? [`${count('idle')} idle`] : []),
    ...(count('unknown') > 0 ? [`${count('unknown')} unknown`] : []),
  ].join(', ');
  const done = scope === 'statement' ? 'stopped' : 'killed';
  return `${killed} ${isDryRun ? `would be ${done}` : done}${detail && ` (${detail})`}, ${rest}.`;
}
