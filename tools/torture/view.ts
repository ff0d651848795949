import type { ServerKind } from '../server-binaries.ts';
import type { Answer, KillRequest, PageRequest, SessionFacts, Thread } from './history.ts';

/** A killed session is gone after so long at the latest, unless its server stands still. */
export const DEATH_MS = 3_000;

/** One request, and what came back. */
export interface Operation {
  readonly number: number;
  readonly node: ServerKind;
  readonly sentAt: number;
  readonly request: KillRequest | PageRequest;
  /** When the answer was there, or no answer could come any more; Infinity if neither. */
  readonly endedAt: number;
  readonly answer: Answer | undefined;
}

export type KillOperation = Operation & { readonly request: KillRequest };

export interface Incarnation {
  readonly node: ServerKind;
  readonly number: number;
  /** Its process was not there before. */
  readonly begunAt: number;
  /** It was not asked to end before; Infinity if never. */
  readonly endsAt: number;
  /** It is surely over. */
  readonly endedAt: number;
}

export interface ClientSession extends SessionFacts {
  readonly node: ServerKind;
  readonly run: Incarnation;
  /** It had been used by then. */
  readonly begunAt: number;
  /** When its client closed it; Infinity if it did not, or later than its end. */
  readonly closedAt: number;
  /** When its client saw it end without having closed it; Infinity if it did not. */
  readonly endedAt: number;
}

/** A process list that root read. */
export interface Sighting {
  readonly run: Incarnation;
  readonly askedAt: number;
  readonly at: number;
  readonly threads: readonly Thread[];
}

/** A history by its things instead of by time. */
export interface View {
  readonly operations: readonly Operation[];
  readonly sessions: readonly ClientSession[];
  readonly incarnations: readonly Incarnation[];
  readonly sightings: readonly Sighting[];
  /** When the service was killed. */
  readonly serviceKills: readonly number[];
  /** Nothing is known of what came later. */
  readonly endsAt: number;
  /** All sessions that had this id, of whichever incarnation. */
  sessionsWith(node: ServerKind, id: bigint): readonly ClientSession[];
  /** For how many milliseconds between these moments the server stood still, or we did. */
  standstill(node: ServerKind, from: number, to: number): number;
  /** For how many milliseconds we stood still between these moments. */
  lag(from: number, to: number): number;
  /** For how many milliseconds between these moments we stood still, or the service had to wait for a core. */
  starvation(from: number, to: number): number;
}

/** Which of the rules a violation breaks. */
export type Rule =
  | 'a bystander died'
  | 'an internal thread died'
  | 'killed, but it lives'
  | 'not found, but it lives'
  | 'an id is not accounted for'
  | 'failed, but it died'
  | 'the answer was late'
  | 'a kill is not on record';

/** Something that must not be, and what it concerns. */
export interface Violation {
  readonly rule: Rule;
  readonly sentence: string;
  readonly node?: ServerKind;
  readonly operations?: readonly number[];
  readonly sessions?: readonly number[];
  /** The id in question. */
  readonly id?: bigint;
}

export function isKill(operation: Operation): operation is KillOperation {
  return operation.request.method === 'DELETE';
}
