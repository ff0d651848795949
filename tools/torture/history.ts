import type { ServerKind } from '../server-binaries.ts';

/** The origin of an id in a request, as far as its caller knew. */
export type IdKind =
  | 'live'
  | 'just dead'
  | 'never existed'
  | 'internal'
  | 'control connection'
  | 'live + 2^32'
  | 'beyond 2^53'
  | 'earlier incarnation';

/** An entry of `expected`. */
export interface Expected {
  readonly id: bigint;
  readonly host?: string;
  readonly user?: string;
}

/** A DELETE request. */
export interface KillRequest {
  readonly method: 'DELETE';
  /** The ids in the order of the request, with repetitions. */
  readonly ids: readonly bigint[];
  readonly kinds: readonly IdKind[];
  readonly expected: readonly Expected[];
  readonly isDryRun: boolean;
  readonly waitSeconds?: number;
  readonly isRepresentationWanted: boolean;
  readonly key?: string;
}

/** A GET request for a page. */
export interface PageRequest {
  readonly method: 'GET';
  readonly offset: number;
}

/** The outcome of an id in an answer. */
export type Outcome = 'killed' | 'not_found' | 'failed' | 'unknown';

/** An answer of the service, with exact ids. */
export interface Answer {
  readonly status: number;
  readonly requestId: string;
  /** The arrays of the answer; a missing array is undefined. */
  readonly ids: Readonly<Partial<Record<Outcome, readonly bigint[]>>>;
  readonly isDryRun: boolean;
  /** The entries of `processes`. For GET, the outcome is empty. */
  readonly processes?: readonly { readonly id: bigint; readonly outcome: string }[];
  readonly errorCode?: string;
  readonly errorMessage?: string;
}

/** A row of a process list that the observer read as root. */
export interface Thread {
  readonly id: bigint;
  readonly user: string;
  readonly host: string;
  readonly command: string;
  readonly state: string;
}

/** The role of a client. Requests may have the id of a `victim`. `root` is the observer. A `replica` reads the binary log. */
export type Role = 'victim' | 'bystander' | 'root' | 'replica';

/** An event on one node. Sessions, operations and incarnations have numbers. */
export type Occurrence =
  | { readonly what: 'incarnation begins' | 'incarnation is ready'; readonly incarnation: number }
  /** Recorded before the signal is sent: from now on, sessions of this incarnation may end. */
  | {
      readonly what: 'incarnation ends';
      readonly incarnation: number;
      readonly how: 'crash' | 'shutdown';
    }
  | { readonly what: 'incarnation has ended'; readonly incarnation: number }
  | { readonly what: 'server is paused' | 'server goes on' }
  | { readonly what: 'fault'; readonly kind: string; readonly fault: string }
  /** `struck` is the number of connections that the fault hit. */
  | { readonly what: 'faults are healed'; readonly struck: number }
  | ({ readonly what: 'session begins' } & SessionFacts)
  /** The client closed the session. */
  | { readonly what: 'session is closed'; readonly session: number }
  /** The client saw that the server ended the session. */
  | { readonly what: 'session has ended'; readonly session: number }
  | {
      readonly what: 'process list';
      readonly incarnation: number;
      readonly askedAt: number;
      readonly threads: readonly Thread[];
    }
  | {
      readonly what: 'request';
      readonly operation: number;
      readonly request: KillRequest | PageRequest;
    }
  | { readonly what: 'answer'; readonly operation: number; readonly answer: Answer }
  | { readonly what: 'no answer'; readonly operation: number; readonly reason: string };

/** The facts about a session. */
export interface SessionFacts {
  readonly session: number;
  readonly incarnation: number;
  readonly id: bigint;
  readonly host: string;
  readonly user: string;
  readonly role: Role;
  /** The moment before the connection was opened. The event's `at` is the moment after the first statement. */
  readonly connectedAt: number;
}

/** An event of the torture test or of the service. */
export type Circumstance =
  | { readonly what: 'service begins' | 'service is ready' | 'service is killed' }
  /** The end of the observation. */
  | { readonly what: 'end' }
  /** The event loop of the torture test was late by `ms`, or the service waited `ms` for a core. Both end at `at`. */
  | { readonly what: 'lag'; readonly of: 'torture' | 'service'; readonly ms: number };

/** An event with its time, in milliseconds of this process's `performance.now()`. */
export type HistoryEvent = { readonly at: number } & (
  ({ readonly node: ServerKind } & Occurrence) | ({ readonly node?: undefined } & Circumstance)
);

/** The events of a run, in the order of time. */
export class History {
  readonly events: HistoryEvent[] = [];
  #operations = 0;
  #sessions = 0;

  /** The number of operations so far. */
  get operations(): number {
    return this.#operations;
  }

  /** Records an event on a node. */
  on(node: ServerKind, occurrence: Occurrence): void {
    this.events.push({ at: performance.now(), node, ...occurrence });
  }

  /** Records an event of the torture test or of the service. */
  of(circumstance: Circumstance): void {
    this.events.push({ at: performance.now(), ...circumstance });
  }

  /** Returns the number of a new operation, from 1. */
  nextOperation(): number {
    return ++this.#operations;
  }

  /** Returns the number of a new session, from 1. */
  nextSession(): number {
    return ++this.#sessions;
  }
}
