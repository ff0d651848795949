import { viewOf } from './build-view.ts';
import { checkAccounts } from './check-accounts.ts';
import { checkAudit } from './check-audit.ts';
import { checkDeaths } from './check-deaths.ts';
import { checkLateness } from './check-lateness.ts';
import { checkOutcomes } from './check-outcomes.ts';
import { checkThreads } from './check-threads.ts';
import type { HistoryEvent } from './history.ts';
import type { View, Violation } from './view.ts';

/** The limits and the audit file that a history is checked against. */
export interface Standard {
  readonly requestTimeoutMs: number;
  /** The audit file, if the service must keep one. */
  readonly audit?: string | undefined;
}

/** Returns all violations in a history, and its view. */
export function check(
  events: readonly HistoryEvent[],
  { requestTimeoutMs, audit }: Standard,
): { readonly view: View; readonly violations: readonly Violation[] } {
  const view = viewOf(events);
  const violations = [
    ...checkDeaths(view),
    ...checkThreads(view),
    ...checkOutcomes(view),
    ...checkAccounts(view),
    ...checkLateness(view, requestTimeoutMs),
    ...(audit === undefined ? [] : checkAudit(view, audit)),
  ];
  return { view, violations };
}
