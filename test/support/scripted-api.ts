import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as it came. */
export interface Came {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** What to do with it. */
export type Act = (res: ServerResponse, request: Came) => void;

/** An HTTP server that does what it is told, for the faults and the answers that the real service cannot be asked for. */
export class ScriptedApi {
  readonly came: Came[] = [];
  /** One a request, in order; the last one again and again. */
  acts: Act[] = [];
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
    this.came.push(request);
    const act = this.acts.length > 1 ? this.acts.shift() : this.acts[0];
    act?.(res, request);
  }
}

/** Answers with this. */
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

/** Cuts the connection. */
export const cutOff: Act = (res) => {
  res.socket?.destroy();
};
