import { withDeadline } from '../domain/deadline.ts';
import { authorize, type Action, type Identity } from '../domain/caller.ts';
import { ServiceError } from '../errors.ts';
import type { Step } from './route-steps.ts';
import { requestContext } from './request-context.ts';
import { keepHash } from './extensions.ts';

/** Finds out who is calling, within the request's limit. Needs the body, which a signature is over. */
export function authenticate(identity: Identity, limitMs: number): Step {
  return async (req, res) => {
    const body = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0);
    const proving = identity.authenticate({
      token: req.get('x-auth-token'),
      request: {
        method: requestContext(res).wireMethod,
        target: req.originalUrl,
        rawHeaders: req.rawHeaders,
        body,
        address: requestContext(res).network,
      },
    });
    const caller =
      proving instanceof Promise
        ? await withDeadline(requestContext(res).receivedAt + limitMs, proving, tooLate)
        : proving;
    requestContext(res).caller = caller;
    keepHash(req, res, caller, body);
  };
}

function tooLate(): ServiceError {
  return new ServiceError('iam_unavailable');
}

/** Lets a request pass only if its caller may do the action in the project that the path names. */
export function permit(action: Action): Step {
  return (req, res) => {
    const { caller } = requestContext(res);
    if (caller === undefined) throw new ServiceError('unauthenticated');
    const { project_id } = req.params;
    // What the SDKs sign beside the path; two projects in one request are a mistake.
    const signedProject = caller.signature === undefined ? undefined : req.get('x-project-id');
    if ((signedProject ?? project_id) !== project_id) throw new ServiceError('project_denied');
    authorize(caller, project_id, action);
  };
}
