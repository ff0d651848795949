import { IncomingMessage, ServerResponse, type RequestListener } from 'node:http';
import type { Express } from 'express';

/** The classes of a server's requests and responses. */
export interface ExpressPrototypes {
  readonly IncomingMessage: typeof IncomingMessage;
  readonly ServerResponse: typeof ServerResponse;
}

/** A request listener for any server. A server that is created with `expressPrototypes` saves time on each request. */
export interface App extends RequestListener {
  readonly expressPrototypes: ExpressPrototypes;
}

/**
 * Creates classes whose objects the Express app accepts as they are. Express gives every other object a new prototype, and V8 then
 * discards what it has learnt about the object's shape (docs/performance.md).
 */
export function createExpressPrototypes(app: Express): ExpressPrototypes {
  class ApiRequest extends IncomingMessage {}
  class ApiResponse<R extends IncomingMessage> extends ServerResponse<R> {}
  Object.setPrototypeOf(ApiRequest.prototype, app.request as object);
  Object.setPrototypeOf(ApiResponse.prototype, app.response as object);
  Object.assign(app, { request: ApiRequest.prototype, response: ApiResponse.prototype });
  return { IncomingMessage: ApiRequest, ServerResponse: ApiResponse };
}
