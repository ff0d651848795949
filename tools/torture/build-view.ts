import type { ServerKind } from '../server-binaries.ts';
import { groupBy } from './group.ts';
import type { HistoryEvent } from './history.ts';
import type { ClientSession, Incarnation, Operation, Sighting, View } from './view.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
interface Span {
  readonly from: number;
  to: number;
}

/** Builds the view of a history. */
export function viewOf(events: readonly HistoryEvent[]): View {
  const incarnations = new Map<string, Mutable<Incarnation>>();
  const sessions = new Map<number, Mutable<ClientSession>>();
  const operations = new Map<number, Mutable<Operation>>();
  const ends = new Map<number, { readonly closedAt: number; readonly endedAt: number }>();
  const sightings: Sighting[] = [];
  const serviceKills: number[] = [];
  const lags: Span[] = [];
  const starvations: Span[] = [];
  const pauses = new Map<ServerKind, Span[]>();
  let endsAt = events.at(-1)?.at ?? 0;
  const incarnationOf = (node: ServerKind, number: number): Mutable<Incarnation> => {
    const key = `${node} ${number}`;
    const known = incarnations.get(key);
    if (known !== undefined) return known;
    const one = { node, number, begunAt: -Infinity, endsAt: Infinity, endedAt: Infinity };
    incarnations.set(key, one);
    return one;
  };

  for (const event of events) {
    const { at } = event;
    if (event.node === undefined) {
      if (event.what === 'lag') {
        starvations.push({ from: at - event.ms, to: at });
        if (event.of === 'torture') lags.push({ from: at - event.ms, to: at });
      }
      if (event.what === 'service is killed') serviceKills.push(at);
      if (event.what === 'end') endsAt = at;
      continue;
    }
    const { node } = event;
    switch (event.what) {
      case 'incarnation begins':
        incarnationOf(node, event.incarnation).begunAt = at;
        break;
      case 'incarnation ends':
        incarnationOf(node, event.incarnation).endsAt = at;
        break;
      case 'incarnation has ended':
        incarnationOf(node, event.incarnation).endedAt = at;
        break;
      case 'server is paused':
        pauses.set(node, [...(pauses.get(node) ?? []), { from: at, to: Infinity }]);
        break;
      case 'server goes on': {
        const pause = pauses.get(node)?.at(-1);
        if (pause !== undefined) pause.to = at;
        break;
      }
      case 'session begins': {
        const run = incarnationOf(node, event.incarnation);
        const open = { run, begunAt: at, closedAt: Infinity, endedAt: Infinity };
        sessions.set(event.session, { ...event, ...open });
        break;
      }
      case 'session is closed':
        ends.set(event.session, { closedAt: at, endedAt: Infinity });
        break;
      case 'session has ended':
        ends.set(event.session, { closedAt: Infinity, endedAt: at });
        break;
      case 'process list': {
        const { askedAt, threads } = event;
        sightings.push({ run: incarnationOf(node, event.incarnation), askedAt, at, threads });
        break;
      }
      case 'request': {
        const { operation: number, request } = event;
        operations.set(number, {
          number,
          node,
          sentAt: at,
          request,
          endedAt: Infinity,
          answer: undefined,
        });
        break;
      }
      case 'answer':
      case 'no answer': {
        const operation = operations.get(event.operation);
        if (operation === undefined) break;
        operation.endedAt = at;
        operation.answer = event.what === 'answer' ? event.answer : undefined;
        break;
      }
      case 'incarnation is ready':
      case 'fault':
      case 'faults are healed':
        break;
    }
  }
  // The end of a session can be recorded before its beginning.
  for (const [number, end] of ends) Object.assign(sessions.get(number) ?? {}, end);
  const starved = merged(starvations);
  const byId = groupBy(sessions.values(), ({ node, id }) => `${node} ${id}`);
  return {
    operations: [...operations.values()],
    sessions: [...sessions.values()],
    incarnations: [...incarnations.values()],
    sightings,
    serviceKills,
    endsAt,
    sessionsWith: (node, id) => byId.get(`${node} ${id}`) ?? [],
    lag: (from, to) => overlap(lags, from, to),
    starvation: (from, to) => overlap(starved, from, to),
    standstill: (node, from, to) =>
      overlap(lags, from, to) + overlap(pauses.get(node) ?? [], from, to),
  };
}

/** Sorts spans and merges those that overlap. */
function merged(spans: readonly Span[]): Span[] {
  const whole: Span[] = [];
  for (const span of spans.toSorted((one, other) => one.from - other.from)) {
    const last = whole.at(-1);
    if (last !== undefined && span.from <= last.to) last.to = Math.max(last.to, span.to);
    else whole.push({ ...span });
  }
  return whole;
}

/** Returns how many milliseconds of the spans lie between two moments. The spans must be sorted and must not overlap. */
function overlap(spans: readonly Span[], from: number, to: number): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle]?.to ?? 0) < from) low = middle + 1;
    else high = middle;
  }
  let sum = 0;
  for (let index = low; index < spans.length; index += 1) {
    const span = spans[index];
    if (span === undefined || span.from > to) break;
    sum += Math.max(0, Math.min(span.to, to) - Math.max(span.from, from));
  }
  return sum;
}
