import type { Request, RequestHandler, Response } from 'express';
import { ServiceError } from '../errors.ts';
import { requestContext } from './request-context.ts';

const HEADER = 'x-http-method-override';

/** A POST that says so is a DELETE, for proxies that drop the bodies of DELETE. */
export function overrideMethod(req: Request): void {
  if (req.method === 'POST' && req.get(HEADER)?.toUpperCase() === 'DELETE') req.method = 'DELETE';
}

/** A request that asks for two different methods is neither: throws `method_not_allowed`. */
export function refuseContradictoryOverride<Params>(req: Request<Params>, res: Response): void {
  const asked = req.get(HEADER)?.toUpperCase();
  if (asked !== undefined && asked !== req.method) {
    res.set('Allow', 'DELETE, GET, HEAD, POST');
    throw new ServiceError('method_not_allowed', {
      'en-us': `The header X-HTTP-Method-Override does not fit the method ${requestContext(res).wireMethod}.`,
      'zh-cn': `请求头X-HTTP-Method-Override与请求方法${requestContext(res).wireMethod}不符。`,
    });
  }
}

/** Throws `method_not_allowed`, at the end of a path that has these. */
export const methodNotAllowed: RequestHandler = (req, res) => {
  refuseContradictoryOverride(req, res);
  res.set('Allow', 'DELETE, GET, HEAD, POST');
  throw new ServiceError('method_not_allowed');
};

/** The same where there is GET alone. */
export const methodOnlyGet: RequestHandler = (_req, res) => {
  res.set('Allow', 'GET, HEAD');
  throw new ServiceError('method_not_allowed');
};
