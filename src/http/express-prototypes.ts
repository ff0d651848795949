import { IncomingMessage, ServerResponse, type RequestListener } from 'node:http';
import type { Express } from 'express';

/** The classes of a server's requests and responses. */
export interface ExpressPrototypes {
  readonly IncomingMessage: typeof IncomingMessage;
  readonly ServerResponse: typeof ServerResponse;
}

/** A request listener. A server that creates requests and responses of its classes saves time; any server works. */
export interface App extends RequestListener {
  readonly expressPrototypes: ExpressPrototypes;
}

/**
 * Makes an Express app accept requests and responses of these classes as its own. Express gives every other object a new prototype,
 * which discards what V8 has learnt about its shape (docs/performance.md).
 */
export function createExpressPrototypes(app: Express): ExpressPrototypes {
  class ApiRequest extends IncomingMessage {}
  class ApiResponse<R extends IncomingMessage> extends ServerResponse<R> {}
  Object.setPrototypeOf(ApiRequest.prototype, app.request as object);
  Object.setPrototypeOf(ApiResponse.prototype, app.response as object);
  Object.assign(app, { request: ApiRequest.prototype, response: ApiResponse.prototype });
  return { IncomingMessage: ApiRequest, ServerResponse: ApiResponse };
}
