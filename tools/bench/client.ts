import assert from 'node:assert/strict';
import { HttpConnection } from '../fleet/http-connection.ts';
import { instanceId, nodeId, PROJECT } from '../fleet/names.ts';
import { repeat } from './rounds.ts';

/** The one caller that the services know. */
export const TOKEN = 'token-of-the-measurement';

/**
 * A warm-up is spread over so many connections: V8 throws away much of what it has compiled when the second one comes, since its
 * objects are of other shapes than those of the only one before.
 */
export const WARM_UP_CONNECTIONS = 4;

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Node closes what was idle for 5 s, maybe just when the next request is on its way. */
const LONGEST_IDLE_MS = 3000;

/** A client with one keep-alive connection. */
export class Client {
  readonly #port: number;
  #connection: HttpConnection | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** Sees to it that the next request finds an open connection. */
  async ready(): Promise<void> {
    const idleMs = performance.now() - (this.#connection?.idleSince ?? 0);
    if (this.#connection?.isOpen === true && idleMs < LONGEST_IDLE_MS) return;
    this.#connection?.close();
    this.#connection = new HttpConnection(this.#port, () => undefined);
    await this.#connection.connected;
  }

  /** Takes another connection from now on. */
  async reconnect(): Promise<void> {
    this.close();
    await this.ready();
  }

  /** Asks this so many times, over several connections. */
  async warmUp(request: string, times: number): Promise<void> {
    for (let connection = 0; connection < WARM_UP_CONNECTIONS; connection += 1) {
      await this.reconnect();
      await repeat(times / WARM_UP_CONNECTIONS, () => this.ask(request));
    }
  }

  ask(request: string): Promise<Answer> {
    return new Promise((resolve) => {
      // A line that has closed would tell it to nobody any more.
      if (this.#connection?.isOpen !== true) resolve({ status: 0, body: '' });
      else {
        this.#connection.send(request, (status, body) => {
          resolve({ status, body });
        });
      }
    });
  }

  /** Rejects unless exactly these ids are told as killed. */
  async kill(node: number, ids: readonly number[]): Promise<void> {
    const { status, body } = await this.ask(killRequest(node, ids));
    const isDone = status === 200 && body.includes('"processes_not_found":[]');
    assert(isDone, `A kill was answered with ${status} ${body.slice(0, 500)}`);
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}

/** A DELETE for these sessions of a node, as it goes over the line. */
export function killRequest(node: number, ids: readonly number[]): string {
  const body = `{"processes":[${ids.join(',')}]}`;
  const length = `Content-Type: application/json\r\nContent-Length: ${body.length}`;
  return `${head('DELETE', node)}${length}\r\n\r\n${body}`;
}

/** A GET for the first page of the sessions of a node. */
export function listRequest(node: number): string {
  return `${head('GET', node)}\r\n`;
}

function head(method: string, node: number): string {
  const path = `/v3/${PROJECT}/instances/${instanceId(node)}/nodes/${nodeId(node)}/processes`;
  return `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Auth-Token: ${TOKEN}\r\n`;
}
