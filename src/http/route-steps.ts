import type { Request, RequestHandler, Response } from 'express';
import type { ValidationChain } from 'express-validator';
import { ServiceError, type ErrorCode } from '../errors.ts';
import { requestContext } from './request-context.ts';

const OVERRIDE_HEADER = 'x-http-method-override';
const ALL_METHODS = 'DELETE, GET, HEAD, POST';
/** The methods of a path that can only be read. */
const READ_METHODS = 'GET, HEAD';

/** The ids in a node's path. */
export interface PathIds {
  readonly project_id: string;
  readonly instance_id: string;
  readonly node_id: string;
}

/** The id in a project's path. */
export type ProjectPathIds = Pick<PathIds, 'project_id'>;

/** The ids in an instance's path. */
export type InstancePathIds = Pick<PathIds, 'project_id' | 'instance_id'>;

/** One step of handling a request. Throws a `ServiceError` if the request is refused. */
export type Step<Params = PathIds> = (req: Request<Params>, res: Response) => void | Promise<void>;

/** Returns one Express handler that runs the steps in order. A further Express handler costs as much as most of these steps. */
export function chain<Params = PathIds>(...steps: readonly Step<Params>[]): RequestHandler<Params> {
  return async (req, res, next) => {
    for (const step of steps) {
      const pending = step(req, res);
      // Most steps are synchronous, and each `await` costs a turn of the event loop.
      if (pending !== undefined) await pending;
    }
    next();
  };
}

/** A validation chain that runs only for requests that it concerns: a chain with nothing to check costs as much as any other. */
export interface Check<Params = PathIds> {
  readonly chain: ValidationChain;
  readonly concerns: (req: Request<Params>) => boolean;
}

/** Returns a step that runs the checks in order and throws the error of the first check that fails. */
export function validate<Params extends ProjectPathIds = PathIds>(
  ...checks: readonly Check<Params>[]
): Step<Params> {
  return (req) => {
    const concerned = checks.filter(({ concerns }) => concerns(req));
    return concerned.length === 0 ? undefined : throwFirst(req, concerned);
  };
}

async function throwFirst<Params extends ProjectPathIds>(
  req: Request<Params>,
  checks: readonly Check<Params>[],
): Promise<void> {
  for (const { chain } of checks) {
    const [first] = (await chain.run(req)).array();
    if (first !== undefined) throw first.msg as ServiceError;
  }
}

/** Returns an error that names the first unknown key of an object, or undefined. */
export function unknownName(
  value: object,
  known: readonly string[],
  kind: string,
  kindZh: string,
): ServiceError | undefined {
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown === undefined) return undefined;
  const name = JSON.stringify(unknown.slice(0, 64));
  return problem(
    'parameter_wrong',
    `The ${kind} ${name} is not known.`,
    `未知的${kindZh}${name}。`,
  )();
}

/** Returns a function that creates this error. */
export function problem(code: ErrorCode, en: string, zh: string): () => ServiceError {
  return () => new ServiceError(code, { 'en-us': en, 'zh-cn': zh });
}

/** Turns a POST with `X-HTTP-Method-Override: DELETE` into a DELETE, for proxies that drop the body of a DELETE. */
export function overrideMethod(req: Request): void {
  if (req.method === 'POST' && req.get(OVERRIDE_HEADER)?.toUpperCase() === 'DELETE')
    req.method = 'DELETE';
}

/** Throws `method_not_allowed` if the override header names another method than the request has. */
export function refuseContradictoryOverride<Params>(req: Request<Params>, res: Response): void {
  refuseOverride(req, res, ALL_METHODS);
}

/** Throws the same error as `refuseContradictoryOverride`, for a path that has GET and HEAD only. */
export function refuseOverrideOfGet<Params>(req: Request<Params>, res: Response): void {
  refuseOverride(req, res, READ_METHODS);
}

/** Throws `method_not_allowed` for a path that has DELETE, GET, HEAD and, for an override, POST. */
export const methodNotAllowed: RequestHandler = (req, res) => {
  refuseContradictoryOverride(req, res);
  res.set('Allow', ALL_METHODS);
  throw new ServiceError('method_not_allowed');
};

/** Throws `method_not_allowed` for a path that has GET and HEAD only. */
export const methodOnlyGet: RequestHandler = (_req, res) => {
  res.set('Allow', READ_METHODS);
  throw new ServiceError('method_not_allowed');
};

function refuseOverride<Params>(req: Request<Params>, res: Response, allowed: string): void {
  const asked = req.get(OVERRIDE_HEADER)?.toUpperCase();
  if (asked === undefined || asked === req.method) return;
  const { wireMethod } = requestContext(res);
  res.set('Allow', allowed);
  throw new ServiceError('method_not_allowed', {
    'en-us': `The header X-HTTP-Method-Override contradicts the method ${wireMethod}.`,
    'zh-cn': `请求头X-HTTP-Method-Override与请求方法${wireMethod}不符。`,
  });
}
