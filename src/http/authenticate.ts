import { createHash } from 'node:crypto';
import type { RequestHandler } from 'express';
import { matchedData } from 'express-validator';
import { by } from '../domain/deadline.ts';
import { authorize, type Action, type Identity } from '../domain/caller.ts';
import { ServiceError } from '../errors.ts';
import { facts } from './request-facts.ts';
import { check, projectId, type PathIds } from './validators.ts';

/** Finds out who is calling, within the request's limit. Needs the body, which a signature is over. */
export function authenticate(identity: Identity, limitMs: number): RequestHandler {
  return async (req, res, next) => {
    const body = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0);
    facts(res).bodyHash = createHash('sha256').update(body).digest('hex');
    const proving = identity.authenticate({
      token: req.get('x-auth-token'),
      request: {
        method: facts(res).wireMethod,
        target: req.originalUrl,
        rawHeaders: req.rawHeaders,
        body,
        address: facts(res).address,
      },
    });
    facts(res).caller = await by(facts(res).receivedAt + limitMs, proving, tooLate);
    next();
  };
}

function tooLate(): ServiceError {
  return new ServiceError('iam_unavailable');
}

/** Lets a request pass only if its caller may do the action in the project that the path names. */
export function permit(action: Action): RequestHandler {
  return async (req, res, next) => {
    const { caller } = facts(res);
    if (caller === undefined) throw new ServiceError('unauthenticated');
    await check(req, projectId);
    const { project_id } = matchedData<PathIds>(req);
    // What the SDKs sign beside the path; two projects in one request are a mistake.
    const signedProject = caller.signature === undefined ? undefined : req.get('x-project-id');
    if ((signedProject ?? project_id) !== project_id) throw new ServiceError('project_denied');
    authorize(caller, project_id, action);
    next();
  };
}
