import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import {
  grantedActions,
  unauthenticated,
  type Caller,
  type GrantedAction,
  type RequestOnWire,
} from '../domain/caller.ts';
import { ForgottenDates } from './forgotten-dates.ts';
import {
  canonicalRequest,
  headerValues,
  sha256Hex,
  showCanonicalRequest,
} from './canonical-request.ts';
import { Lockout } from './lockout.ts';

/** A pair of keys from the configuration, and whom it proves. */
export interface AccessKey {
  readonly access: string;
  readonly secret: string;
  readonly user: string;
  readonly projectId: string;
  readonly actions: readonly GrantedAction[];
  /** The token of temporary credentials. Each request carries it in X-Security-Token, signed or not. */
  readonly securityToken?: string | undefined;
}

/** How far X-Sdk-Date may be from our clock, in milliseconds. */
const WINDOW_MS = 15 * 60_000;
/** The SDKs sign about five. */
const MAX_SIGNED_HEADERS = 64;

interface Authorization {
  readonly algorithm: 'SDK-HMAC-SHA256' | 'V11-HMAC-SHA256';
  readonly access: string;
  /** Of a derived key: `date/region/service`. */
  readonly scope: string | undefined;
  readonly signedHeaders: string;
  readonly signature: string;
}

/** X-Sdk-Date, as it is signed and in milliseconds since 1970. */
interface SignedDate {
  readonly text: string;
  readonly at: number;
}

/** Callers who prove themselves with a signature made with a secret key (AK/SK), of either kind that the official SDKs make. */
export class AccessKeys {
  #keys: ReadonlyMap<string, AccessKey> = new Map();
  readonly #lockout: Lockout;
  readonly #remembersAll: boolean;
  readonly #now: () => number;
  readonly #monotonic: () => number;
  readonly #forgotten: ForgottenDates;
  readonly #started: { readonly at: number; readonly monotonic: number };

  /**
   * `remembersAll`: what was answered before this process began is remembered elsewhere. `now` is in milliseconds since 1970, and only
   * X-Sdk-Date is compared with it; `monotonic` is in milliseconds too.
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

  /** From now on these are the keys, and no others. */
  replace(keys: readonly AccessKey[]): void {
    this.#keys = new Map(keys.map((key) => [key.access, key]));
  }

  /** The caller whose secret key the request is signed with. Throws `unauthenticated`, in the gateway's words. */
  verify(request: RequestOnWire): Caller {
    const authorization = parseAuthorization(request);
    const { access, signedHeaders } = authorization;
    if (this.#lockout.isLocked(access, request.address)) {
      throw unauthenticated('AK access failed to reach the limit,forbidden');
    }
    const date = this.#date(request, signedHeaders);
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

  #date(request: RequestOnWire, signedHeaders: string): SignedDate {
    const [date = '', ...others] = headerValues(request, 'x-sdk-date');
    const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date)?.slice(1);
    const isInPlace = others.length === 0 && signedHeaders.split(';').includes('x-sdk-date');
    if (parts === undefined || !isInPlace) {
      throw unauthenticated(
        'verify aksk signature fail, X-Sdk-Date must be YYYYMMDDTHHMMSSZ and signed',
      );
    }
    const [year, month, day, hour, minute, second] = parts.map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const at = Date.UTC(year, month - 1, day, hour, minute, second);
    // What was answered before is not remembered: a request that changes something may be a replay.
    const isUnknownPast =
      changesSomething(request) && (at < this.#rememberedFrom() || this.#forgotten.has(at));
    if (Math.abs(this.#now() - at) > WINDOW_MS || isUnknownPast) {
      throw unauthenticated('calc ak sk signature fail:signature expired');
    }
    return { text: date, at };
  }

  /** Returns the second in which this process began, by the wall clock as it is set at the moment. */
  #rememberedFrom(): number {
    if (this.#remembersAll) return 0;
    const { at, monotonic } = this.#started;
    const steppedMs = this.#now() - at - (this.#monotonic() - monotonic);
    // Reading two clocks takes a moment, and a clock is slewed a little all the time.
    const start = Math.abs(steppedMs) < 1000 ? at : at + steppedMs;
    return Math.floor(start / 1000) * 1000;
  }
}

function changesSomething({ method }: RequestOnWire): boolean {
  return !['GET', 'HEAD'].includes(method);
}

function parseAuthorization(request: RequestOnWire): Authorization {
  const [header = '', ...others] = headerValues(request, 'authorization');
  if (!/^(SDK|V11)-HMAC-SHA256 /.test(header)) {
    throw unauthenticated(
      'verify aksk signature fail, the algorithm is not supported: use SDK-HMAC-SHA256 or V11-HMAC-SHA256',
    );
  }
  const match =
    /^(?:(SDK-HMAC-SHA256) Access=([^\s,/]+)|(V11-HMAC-SHA256) Credential=([^\s,/]+)\/(\d{8}\/[^\s,/]+\/[^\s,/]+)), *SignedHeaders=([^\s,]+), *Signature=([0-9a-f]{64})$/.exec(
      header,
    );
  if (match === null || others.length > 0) {
    throw unauthenticated('verify aksk signature fail, the header Authorization is malformed');
  }
  const [, plain, access, , derivedAccess, scope, signedHeaders = '', signature = ''] = match;
  const names = signedHeaders.toLowerCase().split(';');
  if (names.length > MAX_SIGNED_HEADERS || new Set(names).size < names.length) {
    throw unauthenticated(
      `verify aksk signature fail, SignedHeaders must be at most ${MAX_SIGNED_HEADERS} names, none twice`,
    );
  }
  return {
    algorithm: plain === undefined ? 'V11-HMAC-SHA256' : 'SDK-HMAC-SHA256',
    access: access ?? derivedAccess ?? '',
    scope,
    signedHeaders,
    signature,
  };
}

function isSigned(
  request: RequestOnWire,
  { algorithm, scope, signedHeaders, signature }: Authorization,
  key: AccessKey,
  date: string,
): boolean {
  if (!hasItsHash(request) || !hasSecurityToken(request, key)) return false;
  if (scope !== undefined && !date.startsWith(scope.slice(0, 8))) return false;
  let canonical: string;
  try {
    canonical = canonicalRequest(request, signedHeaders);
  } catch {
    return false;
  }
  const toSign = [algorithm, date, ...(scope === undefined ? [] : [scope]), sha256Hex(canonical)];
  const expected = createHmac('sha256', signingKey(key, scope)).update(toSign.join('\n')).digest();
  return timingSafeEqual(expected, Buffer.from(signature, 'hex'));
}

// Of a derived key the SDKs use the hex text, not the bytes.
function signingKey({ access, secret }: AccessKey, scope: string | undefined): string {
  if (scope === undefined) return secret;
  return Buffer.from(hkdfSync('sha256', secret, access, scope, 32)).toString('hex');
}

// `UNSIGNED-PAYLOAD` is no hash of any body.
function hasItsHash(request: RequestOnWire): boolean {
  const hash = sha256Hex(request.body);
  return headerValues(request, 'x-sdk-content-sha256').every((said) => said === hash);
}

// terraform-provider-huaweicloud adds the token after signing. The comparison proves it, so a signature over it adds nothing.
function hasSecurityToken(request: RequestOnWire, key: AccessKey): boolean {
  if (key.securityToken === undefined) return true;
  const [token = '', ...others] = headerValues(request, 'x-security-token');
  const [came, wanted] = [sha256Hex(token), sha256Hex(key.securityToken)].map((hex) =>
    Buffer.from(hex),
  ) as [Buffer, Buffer];
  return timingSafeEqual(came, wanted) && others.length === 0;
}

function badSignature(request: RequestOnWire, signedHeaders: string): Error {
  let shown = '';
  try {
    shown = showCanonicalRequest(request, signedHeaders);
  } catch {
    // The path or the query cannot be decoded, so there is none.
  }
  return unauthenticated(`verify aksk signature fail, canonicalRequest:${shown}`);
}
