import type { ServerKind } from '../server-binaries.ts';
import type { Answer, KillRequest, PageRequest, SessionFacts, Thread } from './history.ts';

/** A killed session is gone at most this long after the answer, unless its server stands still. */
export const DEATH_MS = 3_000;

/** One request with its answer. */
export interface Operation {
  readonly number: number;
  readonly node: ServerKind;
  readonly sentAt: number;
  readonly request: KillRequest | PageRequest;
  /** When the answer came or the request failed; Infinity if neither happened. */
  readonly endedAt: number;
  readonly answer: Answer | undefined;
}

/** An operation with a DELETE. */
export type KillOperation = Operation & { readonly request: KillRequest };

/** One run of a server process. */
export interface Incarnation {
  readonly node: ServerKind;
  readonly number: number;
  /** When the process was started. */
  readonly begunAt: number;
  /** When the signal to end was about to be sent; Infinity if never. */
  readonly endsAt: number;
  /** When the process was gone; Infinity if it is not. */
  readonly endedAt: number;
}

/** A session as its client saw it. */
export interface ClientSession extends SessionFacts {
  readonly node: ServerKind;
  readonly run: Incarnation;
  /** When its first statement had ended. */
  readonly begunAt: number;
  /** When its client closed it; Infinity if the session ended otherwise. */
  readonly closedAt: number;
  /** When its client saw that it had ended; Infinity if the client closed it or it is open. */
  readonly endedAt: number;
}

/** A process list that the observer read. */
export interface Sighting {
  readonly run: Incarnation;
  readonly askedAt: number;
  readonly at: number;
  readonly threads: readonly Thread[];
}

/** A history, ordered by operation, session and incarnation instead of by time. */
export interface View {
  readonly operations: readonly Operation[];
  readonly sessions: readonly ClientSession[];
  readonly incarnations: readonly Incarnation[];
  readonly sightings: readonly Sighting[];
  /** When the service was killed. */
  readonly serviceKills: readonly number[];
  /** The end of the observation. */
  readonly endsAt: number;
  /** Returns the sessions with this id in all incarnations. */
  sessionsWith(node: ServerKind, id: bigint): readonly ClientSession[];
  /** Returns how many milliseconds between two moments the server or this process stood still. */
  standstill(node: ServerKind, from: number, to: number): number;
  /** Returns how many milliseconds this process stood still between two moments. */
  lag(from: number, to: number): number;
  /** Returns how many milliseconds between two moments this process stood still or the service waited for a core. */
  starvation(from: number, to: number): number;
}

/** The rules that a history can break. */
export type Rule =
  | 'a bystander died'
  | 'an internal thread died'
  | 'killed, but it lives'
  | 'not found, but it lives'
  | 'an id is not accounted for'
  | 'failed, but it died'
  | 'the answer was late'
  | 'a kill is not on record';

/** A broken rule, with the operations and sessions that it concerns. */
export interface Violation {
  readonly rule: Rule;
  readonly sentence: string;
  readonly node?: ServerKind;
  readonly operations?: readonly number[];
  readonly sessions?: readonly number[];
  /** The session id or thread id that the violation concerns. */
  readonly id?: bigint;
}

/** True for an operation with a DELETE. */
export function isKill(operation: Operation): operation is KillOperation {
  return operation.request.method === 'DELETE';
}
