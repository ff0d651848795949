import { LRUCache } from 'lru-cache';
import {
  grantedActions,
  unauthenticated,
  type Caller,
  type GrantedAction,
  type RequestOnWire,
} from '../domain/caller.ts';
import {
  badSignature,
  ForgottenDates,
  isSigned,
  parseAuthorization,
  signedDate,
  type SigningKey,
} from './signature.ts';

/** A pair of keys from the configuration, and the caller that it proves. */
export interface AccessKey extends SigningKey {
  readonly user: string;
  readonly projectId: string;
  readonly actions: readonly GrantedAction[];
}

/** The largest allowed difference between X-Sdk-Date and our clock, in milliseconds. */
const WINDOW_MS = 15 * 60_000;

/** The callers that sign their requests with a secret key (AK/SK), using either algorithm of the official SDKs. */
export class AccessKeys {
  #keys: ReadonlyMap<string, AccessKey> = new Map();
  readonly #lockout: Lockout;
  readonly #remembersAll: boolean;
  readonly #now: () => number;
  readonly #monotonic: () => number;
  readonly #forgotten: ForgottenDates;
  readonly #started: { readonly at: number; readonly monotonic: number };

  /**
   * `remembersAll` is true if a store outside this process keeps the answers from before the start of this process. `now` is in
   * milliseconds since 1970, and only X-Sdk-Date is compared with it. `monotonic` is in milliseconds too.
   */
  constructor(
    keys: readonly AccessKey[],
    remembersAll = false,
    now: () => number = Date.now,
    monotonic: () => number = () => performance.now(),
  ) {
    this.#remembersAll = remembersAll;
    this.#now = now;
    this.#monotonic = monotonic;
    this.#started = { at: now(), monotonic: monotonic() };
    this.#lockout = new Lockout(monotonic);
    this.#forgotten = new ForgottenDates(monotonic);
    this.replace(keys);
  }

  /** Replaces all keys. */
  replace(keys: readonly AccessKey[]): void {
    this.#keys = new Map(keys.map((key) => [key.access, key]));
  }

  /** Returns the caller whose secret key signed the request. Throws `unauthenticated` with the gateway's message. */
  verify(request: RequestOnWire): Caller {
    const authorization = parseAuthorization(request);
    const { access, signedHeaders } = authorization;
    if (this.#lockout.isLocked(access, request.address)) {
      throw unauthenticated('AK access failed to reach the limit,forbidden');
    }
    const date = signedDate(request, signedHeaders);
    this.#requireRecent(request, date.at);
    const key = this.#keys.get(access);
    if (key === undefined) throw unauthenticated(`ak ${access} not exist`);
    if (!isSigned(request, authorization, key, date.text)) {
      this.#lockout.failed(access, request.address);
      throw badSignature(request, signedHeaders);
    }
    this.#lockout.succeeded(access, request.address);
    if (changesSomething(request)) this.#forgotten.accept(date.at);
    return {
      user: key.user,
      projectId: key.projectId,
      actions: grantedActions(key.actions),
      proof: `access key ${access}`,
      signature: `${access} ${authorization.signature}`,
    };
  }

  /** Throws `unauthenticated` if a request with this date is too old, or can be a replay. */
  #requireRecent(request: RequestOnWire, at: number): void {
    // Only the stored answer to the first request reveals a replay. If that answer may be lost, a request other than a read is refused.
    const isUnknownPast =
      changesSomething(request) && (at < this.#rememberedFrom() || this.#forgotten.has(at));
    if (Math.abs(this.#now() - at) > WINDOW_MS || isUnknownPast) {
      throw unauthenticated('calc ak sk signature fail:signature expired');
    }
  }

  /**
   * Returns the first date from which all answers are stored, in milliseconds since 1970. This is 0 if `remembersAll` is true. Otherwise,
   * it is the second in which this process began, by the present setting of the wall clock.
   */
  #rememberedFrom(): number {
    if (this.#remembersAll) return 0;
    const { at, monotonic } = this.#started;
    const steppedMs = this.#now() - at - (this.#monotonic() - monotonic);
    // A small difference is no step: the two clocks are not read at the same instant, and NTP slews the wall clock.
    const start = Math.abs(steppedMs) < 1000 ? at : at + steppedMs;
    return Math.floor(start / 1000) * 1000;
  }
}

function changesSomething({ method }: RequestOnWire): boolean {
  return !['GET', 'HEAD'].includes(method);
}

const MAX_FAILURES = 5;
const LOCKED_MS = 5 * 60_000;
/** The most pairs that are kept. The least recently used are dropped first. */
const MAX_PAIRS = 10_000;

interface Failures {
  count: number;
  lockedUntil: number;
}

/**
 * Locks a pair of access key and address for five minutes after five bad signatures in a row. Access keys are no secret: if the key alone
 * were locked, a stranger could lock out its owner.
 */
class Lockout {
  readonly #pairs = new LRUCache<string, Failures>({ max: MAX_PAIRS });
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  isLocked(access: string, address: string): boolean {
    return (this.#pairs.get(pair(access, address))?.lockedUntil ?? 0) > this.#now();
  }

  failed(access: string, address: string): void {
    const key = pair(access, address);
    const failures = this.#pairs.get(key) ?? { count: 0, lockedUntil: 0 };
    failures.count += 1;
    if (failures.count >= MAX_FAILURES)
      Object.assign(failures, { count: 0, lockedUntil: this.#now() + LOCKED_MS });
    this.#pairs.set(key, failures);
  }

  succeeded(access: string, address: string): void {
    this.#pairs.delete(pair(access, address));
  }
}

function pair(access: string, address: string): string {
  return `${access} ${address}`;
}
