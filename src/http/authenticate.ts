import { hash } from 'node:crypto';
import type { RequestHandler } from 'express';
import { by } from '../domain/deadline.ts';
import { authorize, type Action, type Identity } from '../domain/caller.ts';
import { ServiceError } from '../errors.ts';
import { facts } from './request-facts.ts';
import { pathIds } from './path-ids.ts';
import { firstProblem } from './validators.ts';

/** Finds out who is calling, within the request's limit. Needs the body, which a signature is over. */
export function authenticate(identity: Identity, limitMs: number): RequestHandler {
  return async (req, res, next) => {
    const body = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0);
    facts(res).bodyHash = hash('sha256', body);
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

/**
 * Lets a request pass only if its caller may do the action in the project that the path names. The other ids of the path are looked at
 * after that, and all three are in `matchedData` afterwards.
 */
export function permit(action: Action): RequestHandler<{ project_id: string }> {
  return async (req, res, next) => {
    const { caller } = facts(res);
    if (caller === undefined) throw new ServiceError('unauthenticated');
    const wrong = await firstProblem(req, pathIds);
    if (wrong?.field === 'project_id') throw wrong.error;
    // Checked just now: `matchedData` would take longer than the check.
    const { project_id } = req.params;
    // What the SDKs sign beside the path; two projects in one request are a mistake.
    const signedProject = caller.signature === undefined ? undefined : req.get('x-project-id');
    if ((signedProject ?? project_id) !== project_id) throw new ServiceError('project_denied');
    authorize(caller, project_id, action);
    if (wrong !== undefined) throw wrong.error;
    next();
  };
}
