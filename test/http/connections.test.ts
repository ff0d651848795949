import { once } from 'node:events';
import { Server } from 'node:http';
import { connect, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { boundConnections } from '../../src/http/connections.ts';
import { selfSigned, type Certificate } from '../support/certificates.ts';
import { processesPath } from '../support/ids.ts';
import {
  killRequest,
  startListening,
  stopAllListening,
  type Listening,
} from '../support/listening.ts';
import { TOKEN } from '../support/service.ts';
import { until } from '../support/until.ts';

let certificate: Certificate;
beforeAll(async () => {
  certificate = await selfSigned('localhost');
});

const clients: Socket[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  stopAllListening();
});

interface Client {
  readonly socket: Socket;
  heard: string;
}

/** Connects from the address, and sends the text. */
async function client({ port }: Listening, address: string, text = ''): Promise<Client> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: address });
  clients.push(socket);
  const client = { socket, heard: '' };
  socket.on('error', () => undefined).on('data', (data: Buffer) => (client.heard += String(data)));
  await once(socket, 'connect');
  if (text !== '') socket.write(text);
  return client;
}

/** Connects from the address, sends the text, and waits for the answer. */
async function answered(listening: Listening, address: string, text: string): Promise<Client> {
  const it = await client(listening, address, text);
  await until('it is answered', () => it.heard.includes('HTTP/1.1 '));
  return it;
}

const GET = `GET ${processesPath()} HTTP/1.1\r\nHost: a\r\n\r\n`;
const LIST = GET.replace('Host: a', `Host: a\r\nX-Auth-Token: ${TOKEN}`);
const HALF = `DELETE ${processesPath()} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{`;

const isClosed = ({ socket }: Client): boolean => socket.closed;

describe('a new connection beyond the limit', () => {
  it('replaces the oldest connection that has never sent a complete request', async () => {
    const listening = await startListening({ maxConnections: 3 });
    let drops = 0;
    listening.server.on('drop', () => (drops += 1));
    const probe = await answered(
      listening,
      '127.0.0.2',
      'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    const half = await client(listening, '127.0.0.2', HALF);
    const silent = await client(listening, '127.0.0.3');
    await until('half a request has arrived', async () => (await heldBy(listening)) === 3);

    const first = await answered(listening, '127.0.0.4', GET);
    expect([probe, half, silent].map(isClosed)).toEqual([false, true, false]);
    await answered(listening, '127.0.0.4', GET);
    expect([probe, silent, first].map(isClosed)).toEqual([false, true, false]);
    expect(drops).toBe(2);
  });

  it('replaces the oldest connection without a caller if all have sent requests', async () => {
    const listening = await startListening({ maxConnections: 3 });
    const caller = await answered(listening, '127.0.0.2', LIST);
    const stranger = await answered(listening, '127.0.0.3', GET);
    const other = await answered(listening, '127.0.0.4', GET);

    await answered(listening, '127.0.0.5', LIST);
    expect([caller, stranger, other].map(isClosed)).toEqual([false, true, false]);
    await answered(listening, '127.0.0.5', LIST);
    expect([caller, other].map(isClosed)).toEqual([false, true]);
  });

  it.each([
    ['of all connections', { maxConnections: 3 }],
    ['of one address', { maxConnectionsPerAddress: 3 }],
  ])(
    'replaces an idle connection with a caller if there are no others: limit %s',
    async (_, bounds) => {
      const listening = await startListening(bounds);
      const [first, second, third] = [
        await answered(listening, '127.0.0.2', LIST),
        await answered(listening, '127.0.0.2', LIST),
        await answered(listening, '127.0.0.2', LIST),
      ];

      const newcomer = await answered(listening, '127.0.0.2', LIST);
      await until('the first is closed', () => isClosed(first));
      await answered(listening, '127.0.0.2', LIST);
      await until('the second is closed', () => isClosed(second));
      expect([third, newcomer].map(isClosed)).toEqual([false, false]);
    },
  );

  it('is closed if every other connection waits for a response', async () => {
    const listening = await startListening({ maxConnections: 2 });
    let asked = 0;
    listening.nodes.withConnection = () => {
      asked += 1;
      return new Promise(() => undefined);
    };
    const owed = [await client(listening, '127.0.0.2', LIST)];
    await until('the node is asked', () => asked === 1);
    const idle = await answered(listening, '127.0.0.2', LIST.replace(processesPath(), '/v3/none'));
    owed.push(await client(listening, '127.0.0.3', killRequest(1n)));
    await until('the idle one is closed', () => isClosed(idle));
    await until('the node is asked again', () => asked === 2);

    const refused = await client(listening, '127.0.0.4', LIST);
    await until('it is closed', () => isClosed(refused));
    expect(refused.heard).toBe('');
    expect(owed.map(isClosed)).toEqual([false, false]);
  });

  // A test cannot make a real server accept two connections before the first event `close`.
  it('respects the limit of its address while another connection is being closed', async () => {
    const server = new Server();
    server.removeAllListeners('connection');
    const sockets = boundConnections(server, { all: 3, perAddress: 2 });
    const accept = (remoteAddress: string): Socket => {
      const socket = Object.defineProperty(new Socket(), 'remoteAddress', { value: remoteAddress });
      server.emit('connection', socket);
      return socket;
    };
    const evicted = accept('127.0.0.2');
    const closed = once(evicted, 'close');
    for (const address of ['127.0.0.3', '127.0.0.4', '127.0.0.5', '127.0.0.2']) accept(address);
    await closed;

    for (let n = 0; n < 3; n += 1) accept('127.0.0.2');
    const left = [...sockets].filter(({ remoteAddress }) => remoteAddress === '127.0.0.2');
    expect(left.length).toBe(2);
  });

  it('replaces a connection that does not read its response, but none that waits for one', async () => {
    const listening = await startListening({ maxConnections: 2 });
    let isAsked = false;
    listening.nodes.withConnection = () => {
      isAsked = true;
      return new Promise(() => undefined);
    };
    const owed = await client(listening, '127.0.0.2', LIST);
    await until('the node is asked', () => isAsked);
    const idle = await client(listening, '127.0.0.2');
    idle.socket.pause();
    const large = 'GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n';
    idle.socket.write(large.repeat(20));
    await until('its answer is sent', () => idle.socket.bytesRead > 0);

    // Until the buffers are full, the idle connection can briefly wait for an answer; then the newcomer is closed.
    await until('a newcomer is answered', async () => {
      const newcomer = await client(listening, '127.0.0.3', GET);
      await until('it is answered or closed', () => newcomer.heard !== '' || isClosed(newcomer));
      return newcomer.heard.includes('HTTP/1.1 ');
    });
    idle.socket.resume();
    await until('it is closed', () => isClosed(idle));
    expect(owed.socket.closed).toBe(false);
  });

  it('replaces a connection of the same address at the limit of that address', async () => {
    const listening = await startListening({ maxConnectionsPerAddress: 2 });
    const elsewhere = await client(listening, '127.0.0.3');
    const [first, second] = [
      await client(listening, '127.0.0.2'),
      await client(listening, '127.0.0.2'),
    ];
    await answered(listening, '127.0.0.2', GET);
    await until('the first is closed', () => isClosed(first));
    expect([elsewhere, second].map(isClosed)).toEqual([false, false]);
    expect(await heldBy(listening)).toBe(3);
  });

  it('is accepted once another connection has closed', async () => {
    const listening = await startListening({ maxConnectionsPerAddress: 2 });
    for (let n = 0; n < 5; n += 1) {
      const { socket } = await answered(listening, '127.0.0.2', LIST);
      socket.destroy();
      await until('it has left', async () => (await heldBy(listening)) === 0);
    }
  });

  it('replaces connections over TLS in the same order', async () => {
    const listening = await startListening({ tls: certificate, maxConnections: 3 });
    const clientOverTls = async (text: string): Promise<Client> => {
      const socket = connectTls({
        port: listening.port,
        host: '127.0.0.1',
        rejectUnauthorized: false,
      });
      clients.push(socket);
      const client = { socket, heard: '' };
      socket
        .on('error', () => undefined)
        .on('data', (data: Buffer) => (client.heard += String(data)));
      await once(socket, 'secureConnect');
      socket.write(text);
      await until('it is answered', () => text === '' || client.heard.includes('HTTP/1.1 '));
      return client;
    };
    const caller = await clientOverTls(LIST);
    const withoutTls = await client(listening, '127.0.0.2');
    const silent = await clientOverTls('');

    await clientOverTls(LIST);
    expect([caller, withoutTls, silent].map(isClosed)).toEqual([false, true, false]);
    await clientOverTls(LIST);
    expect([caller, silent].map(isClosed)).toEqual([false, true]);
    await client(listening, '127.0.0.2');
    await until('the oldest of a caller is closed', () => isClosed(caller));
  });
});

function heldBy({ server }: Listening): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => {
      if (error) reject(error);
      else resolve(count);
    });
  });
}
