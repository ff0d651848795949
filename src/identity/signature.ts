import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { REMEMBERED_MS } from '../domain/answer-store.ts';
import { unauthenticated, type RequestOnWire } from '../domain/caller.ts';
import {
  canonicalRequest,
  headerValues,
  sha256Hex,
  showCanonicalRequest,
} from './canonical-request.ts';

/** The SDKs sign about five headers. */
const MAX_SIGNED_HEADERS = 64;

/** A pair of keys, with the token of temporary credentials. */
export interface SigningKey {
  readonly access: string;
  readonly secret: string;
  /** Each request carries this token in X-Security-Token, signed or not. */
  readonly securityToken?: string | undefined;
}

/** The parts of the Authorization header of a signed request. */
export interface Authorization {
  readonly algorithm: 'SDK-HMAC-SHA256' | 'V11-HMAC-SHA256';
  readonly access: string;
  /** `date/region/service` for a derived key, else undefined. */
  readonly scope: string | undefined;
  readonly signedHeaders: string;
  readonly signature: string;
}

/** X-Sdk-Date: the signed text, and the same time in milliseconds since 1970. */
export interface SignedDate {
  readonly text: string;
  readonly at: number;
}

/** Returns the parts of the Authorization header. Throws `unauthenticated` if the header is missing, repeated or malformed. */
export function parseAuthorization(request: RequestOnWire): Authorization {
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

/** Returns the date of a request. Throws `unauthenticated` if X-Sdk-Date is missing, repeated, malformed or not signed. */
export function signedDate(request: RequestOnWire, signedHeaders: string): SignedDate {
  const [text = '', ...others] = headerValues(request, 'x-sdk-date');
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text)?.slice(1);
  const isInPlace = others.length === 0 && signedHeaders.split(';').includes('x-sdk-date');
  if (parts === undefined || !isInPlace) {
    throw unauthenticated(
      'verify aksk signature fail, X-Sdk-Date must be YYYYMMDDTHHMMSSZ and signed',
    );
  }
  const [year = 0, month = 0, day, hour, minute, second] = parts.map(Number);
  return { text, at: Date.UTC(year, month - 1, day, hour, minute, second) };
}

/** Returns true if the signature was made with this key, and the hash of the body, the security token and the scope's date match. */
export function isSigned(
  request: RequestOnWire,
  { algorithm, scope, signedHeaders, signature }: Authorization,
  key: SigningKey,
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

// The SDKs sign with the hex text of a derived key, not with its bytes.
function signingKey({ access, secret }: SigningKey, scope: string | undefined): string {
  if (scope === undefined) return secret;
  return Buffer.from(hkdfSync('sha256', secret, access, scope, 32)).toString('hex');
}

// `UNSIGNED-PAYLOAD` is refused: it is not the hash of the body.
function hasItsHash(request: RequestOnWire): boolean {
  const hash = sha256Hex(request.body);
  return headerValues(request, 'x-sdk-content-sha256').every((said) => said === hash);
}

// terraform-provider-huaweicloud adds the token after signing. The comparison proves the token, so it need not be signed.
function hasSecurityToken(request: RequestOnWire, key: SigningKey): boolean {
  if (key.securityToken === undefined) return true;
  const [token = '', ...others] = headerValues(request, 'x-security-token');
  const [came, wanted] = [sha256Hex(token), sha256Hex(key.securityToken)].map((hex) =>
    Buffer.from(hex),
  ) as [Buffer, Buffer];
  return timingSafeEqual(came, wanted) && others.length === 0;
}

/** Returns the error for a wrong signature. It shows the canonical request, so that the caller can compare it. */
export function badSignature(request: RequestOnWire, signedHeaders: string): Error {
  let shown = '';
  try {
    shown = showCanonicalRequest(request, signedHeaders);
  } catch {
    // There is no canonical request: the path or the query cannot be decoded.
  }
  return unauthenticated(`verify aksk signature fail, canonicalRequest:${shown}`);
}

/**
 * The dates of requests whose answers have expired. If the wall clock steps back, such a date is valid again, and a replay would be carried
 * out. Dates are in milliseconds since 1970, `monotonic` is in milliseconds too.
 */
export class ForgottenDates {
  readonly #monotonic: () => number;
  /** Each date is later than the one before, and has whole seconds, so the list stays short. */
  readonly #remembered: { readonly date: number; readonly acceptedAt: number }[] = [];
  #latest = -Infinity;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** Keeps the date of a request that may be carried out. */
  accept(date: number): void {
    this.#forget();
    const latest = this.#remembered.at(-1)?.date ?? this.#latest;
    if (date > latest) this.#remembered.push({ date, acceptedAt: this.#monotonic() });
  }

  /** Returns true if a request with this date may have been carried out, and its answer may have expired. */
  has(date: number): boolean {
    this.#forget();
    return date <= this.#latest;
  }

  #forget(): void {
    const oldest = this.#monotonic() - REMEMBERED_MS;
    for (let [first] = this.#remembered; first !== undefined; [first] = this.#remembered) {
      if (first.acceptedAt > oldest) return;
      this.#latest = first.date;
      this.#remembered.shift();
    }
  }
}
