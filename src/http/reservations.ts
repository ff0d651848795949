import { hash } from 'node:crypto';
import type { Request, Response } from 'express';
import type { Caller } from '../domain/caller.ts';
import type { Reservation } from '../domain/answer-store.ts';
import { requestContext, ownerOf } from './request-context.ts';

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

function keyOf<Params>(req: Request<Params>): string | undefined {
  return req.get('idempotency-key');
}
