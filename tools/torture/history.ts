import type { ServerKind } from '../server-binaries.ts';

/** Where an id of a request comes from, as its caller knew it. */
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

/** A DELETE that is sent. */
export interface KillRequest {
  readonly method: 'DELETE';
  /** In their order, repetitions included. */
  readonly ids: readonly bigint[];
  readonly kinds: readonly IdKind[];
  readonly expected: readonly Expected[];
  readonly isDryRun: boolean;
  readonly waitSeconds?: number;
  readonly isRepresentationWanted: boolean;
  readonly key?: string;
}

/** A GET of a page. */
export interface PageRequest {
  readonly method: 'GET';
  readonly offset: number;
}

export type Outcome = 'killed' | 'not_found' | 'failed' | 'unknown';

/** An answer as it was read off the wire, ids exact. */
export interface Answer {
  readonly status: number;
  readonly requestId: string;
  /** The arrays that it has. */
  readonly ids: Readonly<Partial<Record<Outcome, readonly bigint[]>>>;
  readonly isDryRun: boolean;
  /** From `processes`: an outcome beside each id for DELETE, none for GET. */
  readonly processes?: readonly { readonly id: bigint; readonly outcome: string }[];
  readonly errorCode?: string;
  readonly errorMessage?: string;
}

/** A row of a process list that root read. */
export interface Thread {
  readonly id: bigint;
  readonly user: string;
  readonly host: string;
  readonly command: string;
  readonly state: string;
}

/** `victim`: its id may be requested. `root`: the torture test's own eyes. `replica`: reads the binary log. */
export type Role = 'victim' | 'bystander' | 'root' | 'replica';

/** Something that happened. Servers, sessions, operations and runs of the service are known by name or number. */
export type Occurrence =
  | { readonly what: 'incarnation begins' | 'incarnation is ready'; readonly incarnation: number }
  /** Recorded before the signal is sent: from now on anything of it may end. */
  | {
      readonly what: 'incarnation ends';
      readonly incarnation: number;
      readonly how: 'crash' | 'shutdown';
    }
  | { readonly what: 'incarnation has ended'; readonly incarnation: number }
  | { readonly what: 'server is paused' | 'server goes on' }
  | { readonly what: 'fault'; readonly kind: string; readonly fault: string }
  /** `struck`: so many connections had met it. */
  | { readonly what: 'faults are healed'; readonly struck: number }
  | ({ readonly what: 'session begins' } & SessionFacts)
  /** Closed by its client. */
  | { readonly what: 'session is closed'; readonly session: number }
  /** Ended by the server, as its client saw. */
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

export interface SessionFacts {
  readonly session: number;
  readonly incarnation: number;
  readonly id: bigint;
  readonly host: string;
  readonly user: string;
  readonly role: Role;
  /** Before it connected; `at` is when it was in use. */
  readonly connectedAt: number;
}

/** Something that happened to the torture test or the service as a whole. */
export type Circumstance =
  | { readonly what: 'service begins' | 'service is ready' | 'service is killed' }
  /** The last thing: nothing was watched any more. */
  | { readonly what: 'end' }
  /** The torture test's own event loop was late by so much, up to now; or the service could run and had no core for so long, of late. */
  | { readonly what: 'lag'; readonly of: 'torture' | 'service'; readonly ms: number };

/** `at`: in milliseconds of this process's `performance.now()`. */
export type HistoryEvent = { readonly at: number } & (
  ({ readonly node: ServerKind } & Occurrence) | ({ readonly node?: undefined } & Circumstance)
);

/** What happened, in the order of time. */
export class History {
  readonly events: HistoryEvent[] = [];
  #operations = 0;
  #sessions = 0;

  get operations(): number {
    return this.#operations;
  }

  on(node: ServerKind, occurrence: Occurrence): void {
    this.events.push({ at: performance.now(), node, ...occurrence });
  }

  of(circumstance: Circumstance): void {
    this.events.push({ at: performance.now(), ...circumstance });
  }

  nextOperation(): number {
    return ++this.#operations;
  }

  nextSession(): number {
    return ++this.#sessions;
  }
}
