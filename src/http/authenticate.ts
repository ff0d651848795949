import type { RequestHandler } from 'express';
import { matchedData } from 'express-validator';
import { authorize, type Action, type Identity } from '../domain/caller.ts';
import { facts } from './request-facts.ts';
import { check, projectId, type PathIds } from './validators.ts';

/** Lets a request pass only for a caller who may do the action in the project that the path names. */
export function authenticate(identity: Identity, action: Action): RequestHandler {
  return async (req, res, next) => {
    const caller = await identity.authenticate({ token: req.get('x-auth-token') });
    facts(res).caller = caller;
    await check(req, projectId);
    authorize(caller, matchedData<PathIds>(req).project_id, action);
    next();
  };
}
