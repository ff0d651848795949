import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { json, text } from 'node:stream/consumers';
import { openSession } from './client-session.ts';
import { processesPath } from './ids.ts';
import { servers, type Server } from './server.ts';
import { ServiceProcess } from './service-process.ts';
import { ACCESS_KEY } from './sign.ts';
import { until } from './until.ts';

const TOKEN = 'token-of-the-caller';
const [server] = servers as [Server];

/** A service as a process with a database server, a caller at 127.0.0.1, and strangers at other addresses. */
export class BesiegedService {
  readonly process = new ServiceProcess();
  readonly #strangers = new Set<Socket>();
  /** The number of strangers' requests that were carried out during the caller's last requests. */
  carriedOutMeanwhile = 0;
  #port = 0;

  /** Starts the service with more settings if given. */
  async start(more: { readonly server?: string; readonly service?: string } = {}): Promise<void> {
    const { access, secret, user, projectId } = ACCESS_KEY;
    this.process.configure(server, TOKEN, {
      ...more,
      identity: `  access_keys:
    - { access: ${access}, secret: ${secret}, user: ${user}, project_id: ${projectId}, actions: ["*"] }`,
    });
    this.process.start({ NODE_PASSWORD: server.control.password });
    this.#port = Number(new URL(await this.process.url()).port);
  }

  stop(): void {
    for (const socket of this.#strangers) socket.destroy();
    this.process.remove();
  }

  /** Connects from another address than the caller's. The socket is paused. */
  stranger(address = '127.0.0.2'): Socket {
    const socket = connect({ port: this.#port, host: '127.0.0.1', localAddress: address });
    this.#strangers.add(socket);
    socket.pause().on('error', () => undefined);
    socket.once('close', () => this.#strangers.delete(socket));
    return socket;
  }

  /** The number of strangers' connections that are open on this side. */
  get strangers(): number {
    return this.#strangers.size;
  }

  /** Sends bytes from a stranger's address. Resolves to all answers when the service has closed the connection. */
  async exchange(bytes: string, address?: string): Promise<string> {
    const socket = this.stranger(address);
    socket.write(bytes);
    return text(socket);
  }

  /** Ends a session and reads `/healthz` as the caller, over new connections. Resolves to the milliseconds. Rejects if either fails. */
  async serve(): Promise<number> {
    const session = await openSession(server);
    const carriedOut = this.carriedOut();
    const begun = performance.now();
    const [killed, health] = await Promise.all([
      this.#call('DELETE', processesPath(), `{"processes":[${session.id}]}`),
      this.#call('GET', '/healthz'),
    ]);
    const took = performance.now() - begun;
    this.carriedOutMeanwhile = this.carriedOut() - carriedOut;
    const wanted = [{ processes_killed: [Number(session.id)], processes_not_found: [] }];
    const answers = JSON.stringify([killed, health]);
    if (answers !== JSON.stringify([...wanted, { status: 'ok' }])) throw new Error(answers);
    await until('the session has ended', () => session.hasEnded());
    return took;
  }

  /** Returns the resident memory of the process in bytes. */
  memory(): number {
    const status = readFileSync(`/proc/${this.process.processId}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  /** Returns the number of sockets of the process. */
  sockets(): number {
    const folder = `/proc/${this.process.processId}/fd`;
    return readdirSync(folder).filter((fd) => {
      try {
        return readlinkSync(`${folder}/${fd}`).startsWith('socket:');
      } catch {
        // The file was closed after the folder was read.
        return false;
      }
    }).length;
  }

  /** Returns how many requests of an address the log shows as carried out. */
  carriedOut(address = '127.0.0.2'): number {
    // Counts text instead of parsing lines: there can be 100,000 lines, and the last one can be incomplete.
    return this.process.output.split(`"address":"${address}"`).length - 1;
  }

  #call(method: string, path: string, body?: string): Promise<unknown> {
    const headers = {
      'X-Auth-Token': TOKEN,
      ...(body !== undefined && {
        'Content-Type': 'application/json',
        'Content-Length': body.length,
      }),
    };
    const options = { port: this.#port, host: '127.0.0.1', method, path, headers, agent: false };
    return new Promise((resolve, reject) => {
      request(options, (res) => {
        json(res).then(resolve, reject);
      })
        .on('error', reject)
        .end(body);
    });
  }
}
