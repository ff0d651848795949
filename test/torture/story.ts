import { check } from '../../tools/torture/checker.ts';
import type {
  Answer,
  Circumstance,
  HistoryEvent,
  KillRequest,
  Occurrence,
  Role,
  Thread,
} from '../../tools/torture/history.ts';
import type { Violation } from '../../tools/torture/view.ts';

const NODE = 'mariadb';
/** The time limit of requests in a story. */
const REQUEST_TIMEOUT_MS = 2_000;

/** The parts of a request or an answer that matter to a story. */
type Asked = Partial<Omit<KillRequest, 'method' | 'kinds'>>;
type Answered = Partial<Answer['ids']> & Partial<Omit<Answer, 'ids'>>;

/** A hand-written history of one node, whose first incarnation begins at 0 ms. Its methods take the time of an event first. */
export class Story {
  readonly events: HistoryEvent[] = [];

  constructor() {
    this.on(0, { what: 'incarnation begins', incarnation: 1 });
  }

  on(at: number, occurrence: Occurrence): this {
    this.events.push({ at, node: NODE, ...occurrence });
    return this;
  }

  of(at: number, circumstance: Circumstance): this {
    this.events.push({ at, ...circumstance });
    return this;
  }

  /** A client connects. The last two digits of the session number are the session id. */
  session(at: number, session: number, role: Role = 'victim', incarnation = 1): this {
    const facts = { session, incarnation, id: BigInt(session % 100), role };
    const client = { host: `127.0.0.1:${4000 + session}`, user: 'app', connectedAt: at - 5 };
    return this.on(at, { what: 'session begins', ...facts, ...client });
  }

  ended(at: number, session: number): this {
    return this.on(at, { what: 'session has ended', session });
  }

  closed(at: number, session: number): this {
    return this.on(at, { what: 'session is closed', session });
  }

  asks(at: number, operation: number, ids: readonly bigint[], more: Asked = {}): this {
    const plain = { kinds: [], expected: [], isDryRun: false, isRepresentationWanted: false };
    const request = { method: 'DELETE' as const, ...plain, ...more, ids };
    return this.on(at, { what: 'request', operation, request });
  }

  /** The service answers: with 500 if ids failed or are unknown, or if there are no outcomes; else with 200. */
  answers(at: number, operation: number, content: Answered = {}): this {
    const { killed, not_found, failed, unknown, ...more } = content;
    const isIncomplete = failed !== undefined || unknown !== undefined;
    const isWhole = isIncomplete || killed !== undefined || not_found !== undefined;
    const isError = isIncomplete || !isWhole;
    const two = { killed: killed ?? [], not_found: not_found ?? [] };
    const answer: Answer = {
      status: isError ? 500 : 200,
      requestId: `request-${operation}`,
      isDryRun: false,
      ...(isError && { errorCode: 'DBS.200005', errorMessage: 'Server failure.' }),
      ids: isError
        ? isWhole
          ? { ...two, failed: failed ?? [], unknown: unknown ?? [] }
          : {}
        : two,
      ...more,
    };
    return this.on(at, { what: 'answer', operation, answer });
  }

  restarts(at: number, incarnation: number): this {
    return this.on(at, { what: 'incarnation ends', incarnation: incarnation - 1, how: 'crash' })
      .on(at + 5, { what: 'incarnation has ended', incarnation: incarnation - 1 })
      .on(at + 5, { what: 'incarnation begins', incarnation });
  }

  sees(at: number, ...threads: readonly Thread[]): this {
    return this.on(at, { what: 'process list', incarnation: 1, askedAt: at - 1, threads });
  }

  /** Ends the story at 100 s and returns the violations that the checker finds. */
  violations(audit?: string): readonly Violation[] {
    this.of(100_000, { what: 'end' });
    return check(this.events, { requestTimeoutMs: REQUEST_TIMEOUT_MS, audit }).violations;
  }

  /** Ends the story and returns the broken rules. */
  broken(audit?: string): string[] {
    return [...new Set(this.violations(audit).map(({ rule }) => rule))];
  }
}
