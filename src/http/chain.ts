import type { Request, RequestHandler, Response } from 'express';

/** The ids in a node's path. */
export interface PathIds {
  readonly project_id: string;
  readonly instance_id: string;
  readonly node_id: string;
}

/** One step of handling a request. Throws a `ServiceError` if the request is refused. */
export type Step<Params = PathIds> = (req: Request<Params>, res: Response) => void | Promise<void>;

/** Runs the steps in order as one Express handler. Each handler that Express walks costs as much as most of these steps. */
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
