import { stringify } from 'lossless-json';
import type { HistoryEvent } from './history.ts';
import { DEATH_MS, type Violation } from './view.ts';

/** Events of the node are shown from this long before the first operation to this long after the last one. */
const AROUND_MS = 50;
const MAX_LINES = 40;
const MAX_LISTS = 6;

/** Formats the events that concern a violation as lines, in the order of time. */
export function evidenceOf(violation: Violation, events: readonly HistoryEvent[]): string[] {
  const own = events.filter((event) => concerns(event, violation));
  const asked = own.filter((event) => 'operation' in event);
  const [first, last] = asked.length > 0 ? [asked[0], asked.at(-1)] : [own[0], own.at(-1)];
  const from = (first?.at ?? 0) - AROUND_MS;
  const to = (last?.at ?? 0) + AROUND_MS + (asked.length > 0 ? DEATH_MS : 0);
  const isThen = ({ at }: HistoryEvent): boolean => at >= from && at <= to;
  const around = events.filter((event) => isThen(event) && isAround(event, violation));
  const lists = events.filter((event) => isThen(event) && isListWith(violation, event));
  if (lists.length > MAX_LISTS) lists.splice(MAX_LISTS / 2, lists.length - MAX_LISTS);
  const all = [...new Set([...own, ...around, ...lists])].sort((one, other) => one.at - other.at);
  const lines = all.map((event) => lineOf(event, violation.id));
  const left = lines.length - MAX_LINES;
  return left > 0 ? [...lines.slice(0, MAX_LINES), `… and ${left} more`] : lines;
}

function concerns(event: HistoryEvent, violation: Violation): boolean {
  const { operations = [], sessions = [] } = violation;
  if ('operation' in event) return operations.includes(event.operation);
  if ('session' in event) return sessions.includes(event.session);
  const isAlone = sessions.length + operations.length === 0;
  return isAlone && isListWith(violation, event);
}

function isListWith({ node, id }: Violation, event: HistoryEvent): boolean {
  if (event.what !== 'process list' || event.node !== node) return false;
  return event.threads.some((thread) => thread.id === id);
}

function isAround(event: HistoryEvent, { node }: Violation): boolean {
  if (event.node === undefined) return event.what.startsWith('service');
  return event.node === node && /^(incarnation|server|fault)/.test(event.what);
}

function lineOf(event: HistoryEvent, id: bigint | undefined): string {
  const { at, what, node, ...rest } = event;
  const details = stringify(shortened(rest, id)) ?? '';
  return `${at.toFixed(1).padStart(12)} ${node ?? 'service'}: ${what} ${details}`;
}

/** Shortens long arrays of ids and threads to the entries with the given id. */
function shortened(value: unknown, id: bigint | undefined): unknown {
  if (Array.isArray(value)) {
    const items: unknown[] =
      value.length > 5 && id !== undefined ? value.filter((item) => isOf(item, id)) : value;
    return items.slice(0, 100).map((item) => shortened(item, id));
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      name === 'kinds' ? undefined : shortened(inner, id),
    ]),
  );
}

function isOf(item: unknown, id: bigint): boolean {
  return (
    item === id || (typeof item === 'object' && item !== null && 'id' in item && item.id === id)
  );
}
