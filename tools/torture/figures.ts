import type { TortureSettings } from './arguments.ts';
import { isDeath } from './check-deaths.ts';
import { latenessOf } from './check-lateness.ts';
import type { HistoryEvent } from './history.ts';
import { isKill, type View, type Violation } from './view.ts';

/** Formats the figures of a run as lines. */
export function figures(
  settings: TortureSettings,
  events: readonly HistoryEvent[],
  view: View,
  violations: readonly Violation[],
  requestTimeoutMs: number,
): string[] {
  const { operations, sessions, incarnations, serviceKills } = view;
  const kills = operations.filter(isKill);
  const answered = operations.flatMap(({ answer }) => answer ?? []);
  const first = operations[0]?.sentAt ?? 0;
  const seconds = Math.max(...operations.map(({ sentAt }) => sentAt).slice(-1), first + 1) - first;
  const lateness = operations.reduce(
    (most, operation) =>
      operation.answer === undefined
        ? most
        : Math.max(most, latenessOf(operation, view, requestTimeoutMs)),
    -Infinity,
  );
  const died = sessions.filter(isDeath).length;
  const bound =
    died === 0 ? '' : `, so fewer than 1 in ${Math.floor(died / 3)} kills with 95 % confidence`;
  const wrong = violations.filter(({ rule }) => rule !== 'the answer was late').length;
  return [
    `seed                 ${settings.seed}`,
    `operations           ${operations.length}, ${((operations.length / seconds) * 1000).toFixed(0)} a second`,
    `ids requested        ${countsOf(kills.flatMap(({ request }) => request.kinds))}`,
    `answers              ${countsOf(operations.map(({ answer }) => (answer ? String(answer.status) : 'none')))}`,
    `ids answered         ${countsOf(answered.flatMap(({ ids }) => Object.entries(ids).flatMap(([name, list]) => list.map(() => name))))}`,
    `errors               ${countsOf(answered.flatMap(({ errorMessage, ids }) => (errorMessage === undefined ? [] : ids.killed ? ['with outcomes'] : [`"${errorMessage}"`])))}`,
    `sessions             ${countsOf(sessions.map(({ role }) => role))}; ${died} were killed`,
    `incarnations         ${countsOf(incarnations.map(({ node }) => node))}`,
    `service killed       ${serviceKills.length}`,
    `faults               ${countsOf(events.flatMap(faultOf))}`,
    `connections struck   ${events.reduce((sum, event) => sum + (event.what === 'faults are healed' ? event.struck : 0), 0)}`,
    `largest lateness     ${lateness.toFixed(0)} ms beyond the request's limit`,
    `largest lag          ${largestLag(events, 'torture').toFixed(0)} ms of this process; the service waited ${largestLag(events, 'service').toFixed(0)} ms for a core`,
    `violations           ${violations.length === 0 ? 'none' : countsOf(violations.map(({ rule }) => rule))}${wrong === 0 ? bound : ''}`,
  ];
}

function largestLag(events: readonly HistoryEvent[], of: 'torture' | 'service'): number {
  const lags = events.flatMap((event) =>
    event.what === 'lag' && event.of === of ? [event.ms] : [],
  );
  return lags.reduce((most, ms) => Math.max(most, ms), 0);
}

function faultOf(event: HistoryEvent): string[] {
  if (event.what === 'fault') return [event.kind];
  if (event.what === 'server is paused') return ['pause'];
  return event.what === 'incarnation ends' ? [event.how] : [];
}

/** Formats how often each name occurs, the most frequent first. */
function countsOf(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const sorted = [...counts].sort(([, one], [, other]) => other - one);
  return sorted.map(([name, count]) => `${count} ${name}`).join(', ');
}
