import assert from 'node:assert/strict';
import { HttpConnection } from '../fleet/http-connection.ts';
import { instanceId, nodeId, PROJECT } from '../fleet/names.ts';
import { repeat } from './rounds.ts';

/** The token of the only caller. */
export const TOKEN = 'token-of-the-measurement';

/**
 * The number of connections of a warm-up. When a second connection comes, V8 drops much of its compiled code, because the objects
 * of that connection have other shapes.
 */
export const WARM_UP_CONNECTIONS = 4;

/** The status and the body of a response. Status 0 stands for no response. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A connection that is idle for longer may be closed by the server while the next request is on its way. */
const MAX_IDLE_MS = 3000;

/** A client with one keep-alive connection. */
export class Client {
  readonly #port: number;
  #connection: HttpConnection | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** Opens a connection, unless there is one that can take the next request. */
  async ready(): Promise<void> {
    const idleMs = performance.now() - (this.#connection?.idleSince ?? 0);
    if (this.#connection?.isOpen === true && idleMs < MAX_IDLE_MS) return;
    this.#connection?.close();
    this.#connection = new HttpConnection(this.#port, () => undefined);
    await this.#connection.connected;
  }

  /** Opens a new connection in place of the old one. */
  async reconnect(): Promise<void> {
    this.close();
    await this.ready();
  }

  /** Sends a request `times` times over several connections. */
  async warmUp(request: string, times: number): Promise<void> {
    for (let connection = 0; connection < WARM_UP_CONNECTIONS; connection += 1) {
      await this.reconnect();
      await repeat(times / WARM_UP_CONNECTIONS, () => this.ask(request));
    }
  }

  /** Sends a request. Resolves to status 0 if the connection breaks or is not open. */
  ask(request: string): Promise<Answer> {
    return new Promise((resolve) => {
      // A closed connection would never call back.
      if (this.#connection?.isOpen !== true) resolve({ status: 0, body: '' });
      else {
        this.#connection.send(request, (status, body) => {
          resolve({ status, body });
        });
      }
    });
  }

  /** Ends sessions. Rejects if an id was not killed. */
  async kill(node: number, ids: readonly number[]): Promise<void> {
    const { status, body } = await this.ask(killRequest(node, ids));
    const isDone = status === 200 && body.includes('"processes_not_found":[]');
    assert(isDone, `A kill was answered with ${status} ${body.slice(0, 500)}`);
  }

  /** Closes the connection. */
  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}

/** Returns the text of a DELETE request for these sessions of a node. */
export function killRequest(node: number, ids: readonly number[]): string {
  const body = `{"processes":[${ids.join(',')}]}`;
  const length = `Content-Type: application/json\r\nContent-Length: ${body.length}`;
  return `${head('DELETE', node)}${length}\r\n\r\n${body}`;
}

/** Returns the text of a GET request for a node; by default for the first page of its sessions. */
export function getRequest(node: number, call = 'processes'): string {
  return `${head('GET', node, call)}\r\n`;
}

/** Returns the text of a GET request for the history of kills on the instance of a node. */
export function historyRequest(node: number): string {
  return `${headOf('GET', `/v3/${PROJECT}/instances/${instanceId(node)}/process/kill/history`)}\r\n`;
}

function head(method: string, node: number, call = 'processes'): string {
  const path = `/v3/${PROJECT}/instances/${instanceId(node)}/nodes/${nodeId(node)}/${call}`;
  return headOf(method, path);
}

function headOf(method: string, path: string): string {
  return `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Auth-Token: ${TOKEN}\r\n`;
}
