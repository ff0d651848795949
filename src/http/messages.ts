import { IncomingMessage, ServerResponse, type RequestListener } from 'node:http';
import type { Express } from 'express';

/** The classes of which a server makes its requests and answers. */
export interface Messages {
  readonly IncomingMessage: typeof IncomingMessage;
  readonly ServerResponse: typeof ServerResponse;
}

/** What answers requests. A server that makes them of these classes saves it time; any other will do. */
export interface App extends RequestListener {
  readonly messages: Messages;
}

/**
 * Has an app of Express take requests and answers of these classes as its own. It gives all others a new prototype, after which nothing that V8
 * has learnt about one request holds for the next (docs/performance.md).
 */
export function messagesOf(app: Express): Messages {
  class ApiRequest extends IncomingMessage {}
  class ApiResponse<R extends IncomingMessage> extends ServerResponse<R> {}
  Object.setPrototypeOf(ApiRequest.prototype, app.request as object);
  Object.setPrototypeOf(ApiResponse.prototype, app.response as object);
  Object.assign(app, { request: ApiRequest.prototype, response: ApiResponse.prototype });
  return { IncomingMessage: ApiRequest, ServerResponse: ApiResponse };
}
