import type { Request, RequestHandler, Response } from 'express';
import type { PathIds } from './path-ids.ts';

/** One thing that is done with a request, or seen to; throws what is wrong. */
export type Step<Params = PathIds> = (req: Request<Params>, res: Response) => void | Promise<void>;

/** These one after the other. For Express they are one: each handler that it walks takes as long as what most of them do. */
export function inTurn<Params = PathIds>(
  ...steps: readonly Step<Params>[]
): RequestHandler<Params> {
  return async (req, res, next) => {
    for (const step of steps) {
      const doing = step(req, res);
      // Most wait for nothing, and each wait costs a turn.
      if (doing !== undefined) await doing;
    }
    next();
  };
}
