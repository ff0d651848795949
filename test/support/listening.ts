import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls, Server as TlsServer } from 'node:tls';
import { promisify } from 'node:util';
import { createListener, type ListenerSettings } from '../../src/http/listener.ts';
import { FakeNodes } from './fake-nodes.ts';
import { fakeNode, processesPath } from './ids.ts';
import { createService, TOKEN, type LoggedEvent, type ServiceSettings } from './service.ts';
import { until } from './until.ts';

/** A listener in this process, for a node in memory. */
export interface Listening {
  readonly server: Server;
  readonly port: number;
  readonly nodes: FakeNodes;
  /** All log lines. */
  readonly events: readonly LoggedEvent[];
}

const running: Server[] = [];

/** Starts a service that listens on a free port. */
export async function startListening(
  settings: Partial<ListenerSettings> = {},
  service: Partial<ServiceSettings> = {},
): Promise<Listening> {
  const nodes = new FakeNodes();
  const { app, events } = createService({ registry: [fakeNode], nodes, ...service });
  const server = createListener(app, {
    requestTimeoutMs: 30_000,
    log: { log: (level, message, fields) => events.push({ level, message, fields }) },
    ...settings,
  });
  running.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { server, port: (server.address() as AddressInfo).port, nodes, events };
}

/** Stops all listeners. */
export function stopAllListening(): void {
  for (const server of running.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
}

/** Sends `first`, then one later part after each answer. Resolves to all answers when the service has closed the connection. */
export async function exchange(
  { server, port }: Listening,
  first: string,
  ...later: string[]
): Promise<string> {
  const where = { port, host: '127.0.0.1', allowHalfOpen: true };
  const isTls = server instanceof TlsServer;
  const socket = isTls ? connectTls({ ...where, rejectUnauthorized: false }) : connect(where);
  socket.on('error', () => undefined).write(first);
  socket.on('data', () => {
    const next = later.shift();
    if (next !== undefined) socket.write(next);
  });
  const answers = await text(socket);
  const count = promisify(server.getConnections.bind(server));
  // Until then, the service could carry out parts that came too late.
  await until('the connection has closed', async () => (await count()) === 0);
  socket.destroy();
  return answers;
}

/** Returns the text of a DELETE request for a session. `more` is a line end and a header. */
export function killRequest(id: bigint, more = ''): string {
  const body = `{"processes":[${id}]}`;
  const head = [
    `DELETE ${processesPath()} HTTP/1.1`,
    'Host: a',
    `X-Auth-Token: ${TOKEN}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
  ];
  return `${head.join('\r\n')}${more}\r\n\r\n${body}`;
}

/** Returns the same request with its body in chunks of at most `size` bytes. */
export function inChunks(request: string, size: number): string {
  const [head = '', body = ''] = request.split('\r\n\r\n');
  const pieces = body.match(new RegExp(`.{1,${size}}`, 'g')) ?? [];
  return [
    `${head.replace(/Content-Length: \d+/, 'Transfer-Encoding: chunked')}\r\n\r\n`,
    ...pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`),
    '0\r\n\r\n',
  ].join('');
}
