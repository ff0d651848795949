import { hash } from 'node:crypto';
import type { Request, Response } from 'express';
import type { Reservation } from '../domain/answer-store.ts';
import type { Caller } from '../domain/caller.ts';
import { ownerOf, requestContext } from './request-context.ts';

/** Who waits holds one of the places for all requests: these leave most of them to the others. */
const MAX_WAITS = 256;

/** What a caller prefers (RFC 7240), as far as this service can honour it. */
export interface Preferences {
  /** Whole seconds, clamped to what the service allows. */
  readonly waitSeconds: number | undefined;
  readonly isRepresentationWanted: boolean;
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
const VALUE = /^(?:[^\s"]*|"(?:[^"\\]|\\.)*")$/;
// A comma or a semicolon within quotes is part of a value. No two ways to match the same: a header can be long.
const PARTS = /(?:"(?:[^"\\]|\\.?)*"?|[^,"])+/g;
const FIRST = /^(?:"(?:[^"\\]|\\.?)*"?|[^;"])*/;

/** Reads the header Prefer. What it does not know or cannot read it passes over; of a preference that comes twice the first counts. */
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

/** Makes what takes the wait out of the preferences when so many wait already that there is no room for one more. */
export function limitWaits(): (wanted: Preferences, res: Response) => Preferences {
  let waits = 0;
  return (wanted, res) => {
    if (wanted.waitSeconds === undefined || wanted.waitSeconds === 0) return wanted;
    // Of one that has closed nothing more is heard, and nobody waits.
    if (res.closed || waits >= MAX_WAITS) return { ...wanted, waitSeconds: undefined };
    waits += 1;
    res.once('close', () => {
      waits -= 1;
    });
    return wanted;
  };
}

/** The header Preference-Applied for what was honoured, or undefined when nothing was. */
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

/** Keeps the hash of the body if the answer to this request is to be remembered. */
export function keepHash<Params>(
  req: Request<Params>,
  res: Response,
  { signature }: Caller,
  body: Buffer,
): void {
  if ((keyOf(req) ?? signature) !== undefined) requestContext(res).bodyHash = hash('sha256', body);
}

/**
 * Under which keys the answer to this DELETE is remembered: its Idempotency-Key, and its signature, which makes a replay of it harmless.
 * A key of the caller's is good within the project, and binds all that the request asks for.
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
    // A signature is over the request: there is nothing more to bind.
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
