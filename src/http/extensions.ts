import { hash } from 'node:crypto';
import type { Request, Response } from 'express';
import type { Reservation } from '../domain/answer-store.ts';
import type { Caller } from '../domain/caller.ts';
import type { Scope } from '../domain/termination.ts';
import { ownerOf, requestContext } from './request-context.ts';

/** The most requests that may wait for sessions to leave. Each of them takes a place for requests, and most places must stay free. */
const MAX_WAITS = 256;

/** The preferences of a caller (RFC 7240) that this service supports. */
export interface Preferences {
  /** Whole seconds, at most the configured maximum; undefined without a valid preference. */
  readonly waitSeconds: number | undefined;
  readonly isRepresentationWanted: boolean;
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
const VALUE = /^(?:[^\s"]*|"(?:[^"\\]|\\.)*")$/;
// A comma or a semicolon within quotes is part of a value. Each text matches in one way only, so that a long header takes linear time.
const PARTS = /(?:"(?:[^"\\]|\\.?)*"?|[^,"])+/g;
const FIRST = /^(?:"(?:[^"\\]|\\.?)*"?|[^;"])*/;

/** Returns true if the request is a dry run, which ends no session. */
export function isDryRunWanted(req: Pick<Request, 'url' | 'query'>): boolean {
  // Each read of `req.query` parses the query string: most requests have none.
  return req.url.includes('?') && req.query['dry_run'] === 'true';
}

/** Parses the header Prefer. Ignores unknown and malformed preferences. If a preference comes twice, the first one counts. */
export function parsePrefer(header: string | undefined, maxWaitSeconds: number): Preferences {
  if (header === undefined) return { waitSeconds: undefined, isRepresentationWanted: false };
  const preferences = new Map<string, string>();
  for (const [part] of header.matchAll(PARTS)) {
    const [preference = ''] = FIRST.exec(part) ?? [];
    const [, name = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(preference) ?? [];
    const key = name.trim().toLowerCase();
    const isReadable = TOKEN.test(key) && VALUE.test(value.trim());
    if (isReadable && !preferences.has(key)) preferences.set(key, unquoted(value.trim()));
  }
  const wait = preferences.get('wait') ?? '';
  return {
    waitSeconds: /^\d+$/.test(wait) ? Math.min(Number(wait), maxWaitSeconds) : undefined,
    isRepresentationWanted: preferences.get('return')?.toLowerCase() === 'representation',
  };
}

/** Returns a function that removes the wait from a request's preferences if 256 requests wait already. */
export function limitWaits(): (wanted: Preferences, res: Response) => Preferences {
  let waits = 0;
  return (wanted, res) => {
    if (wanted.waitSeconds === undefined || wanted.waitSeconds === 0) return wanted;
    // A response that is already closed emits no further `close`, and its client is gone.
    if (res.closed || waits >= MAX_WAITS) return { ...wanted, waitSeconds: undefined };
    waits += 1;
    res.once('close', () => {
      waits -= 1;
    });
    return wanted;
  };
}

/** Returns the scope of a DELETE: `statement`, or undefined for sessions. */
export function scopeOf(req: Pick<Request, 'url' | 'query'>): Scope | undefined {
  return req.url.includes('?') && req.query['scope'] === 'statement' ? 'statement' : undefined;
}

/** Returns the header Preference-Applied for the preferences that were applied, or undefined if none was. */
export function preferenceApplied(
  waitSeconds: number | bigint | undefined,
  isRepresentationWanted: boolean,
): string | undefined {
  const applied = [
    ...(waitSeconds === undefined ? [] : [`wait=${waitSeconds}`]),
    ...(isRepresentationWanted ? ['return=representation'] : []),
  ];
  return applied.length > 0 ? applied.join(', ') : undefined;
}

/** Keeps the hash of the body in the context if the response to this request will be remembered. */
export function keepHash<Params>(
  req: Request<Params>,
  res: Response,
  { signature }: Caller,
  body: Buffer,
): void {
  if ((keyOf(req) ?? signature) !== undefined) requestContext(res).bodyHash = hash('sha256', body);
}

/**
 * Returns the keys under which the response to this DELETE is remembered: its Idempotency-Key, and its signature, which makes a replay harmless.
 * An Idempotency-Key is valid within the project. Its fingerprint covers the caller, method, URL, body and header Prefer of the request.
 * `limitMs` is the time limit of the request in milliseconds.
 */
export function reservationsFor<Params>(
  req: Request<Params>,
  res: Response,
  limitMs: number,
): Reservation[] {
  const { caller, bodyHash } = requestContext(res);
  const key = keyOf(req);
  const signature = caller?.signature;
  if (caller === undefined || (key ?? signature) === undefined) return [];
  const owner = ownerOf(requestContext(res));
  const asked = [owner, req.method, req.originalUrl, bodyHash, req.get('prefer') ?? ''];
  const fingerprint = hash('sha256', JSON.stringify(asked));
  return [
    ...(key === undefined
      ? []
      : [{ key: JSON.stringify(['key', caller.projectId, key]), fingerprint, owner, limitMs }]),
    // A signature covers the whole request: it needs no fingerprint.
    ...(signature === undefined
      ? []
      : [{ key: JSON.stringify(['signature', signature]), fingerprint: '', owner, limitMs }]),
  ];
}

function unquoted(value: string): string {
  const [, quoted] = /^"((?:[^"\\]|\\.)*)"$/.exec(value) ?? [];
  return quoted?.replace(/\\(.)/g, '$1') ?? value;
}

function keyOf<Params>(req: Request<Params>): string | undefined {
  return req.get('idempotency-key');
}
