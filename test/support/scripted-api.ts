import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request that was received. */
export interface Came {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** The reaction to a request. */
export type Act = (res: ServerResponse, request: Came) => void;

/** A scripted HTTP server, for faults and answers that the service cannot be asked for. */
export class ScriptedApi {
  readonly came: Came[] = [];
  /** The reactions, one per request in order. The last one repeats. */
  acts: Act[] = [];
  /** The reaction to a request for the nodes of a project, which `came` does not record then. */
  nodes: Act | undefined;
  readonly #server: Server = createServer((req, res) => {
    void this.#answer(req, res);
  });

  async start(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of req.setEncoding('utf8') as AsyncIterable<string>) body += chunk;
    const request = { method: req.method ?? '', url: req.url ?? '', headers: req.headers, body };
    if (this.nodes !== undefined && /^\/v3\/[^/]+\/nodes\?/.test(request.url)) {
      this.nodes(res, request);
      return;
    }
    this.came.push(request);
    const act = this.acts.length > 1 ? this.acts.shift() : this.acts[0];
    act?.(res, request);
  }
}

/** Returns a reaction that sends this answer. */
export function answer(
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Act {
  return (res) => {
    res.writeHead(status, { 'X-Request-Id': 'f'.repeat(32), ...headers });
    res.end(body);
  };
}

/** The reaction of a service that does not list nodes. */
export const NO_NODES = answer(404, '{"error_code":"APIGW.0101","error_msg":"No such API."}');

/** A reaction that closes the connection without an answer. */
export const cutOff: Act = (res) => {
  res.socket?.destroy();
};
