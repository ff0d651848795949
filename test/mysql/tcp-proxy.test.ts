import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import {
  connect,
  createServer,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from 'node:net';
import type { Connection } from 'mysql2/promise';
import { connectAs, liveIds, processList, servers } from '../support/server.ts';
import { TcpProxy, type Direction, type Fault } from '../../tools/tcp-proxy.ts';
import { until } from '../support/until.ts';

const CUT = { kind: 'cut' } as const;
const RESET = { kind: 'reset' } as const;
const BLACK_HOLE = { kind: 'black hole' } as const;
const HALF_OPEN = { kind: 'half-open' } as const;

let proxy: TcpProxy;
afterEach(async () => {
  await proxy.close();
  expect(proxy.open).toBe(0);
});

describe('a TCP proxy before an echo server', () => {
  let echo: TcpServer;
  let heard: { text: string; fate: 'open' | 'FIN' | 'RST' }[];
  const clients: Client[] = [];

  beforeEach(async () => {
    heard = [];
    echo = createServer({ allowHalfOpen: true }, (socket) => {
      const record = { text: '', fate: 'open' as 'open' | 'FIN' | 'RST' };
      heard.push(record);
      socket.on('data', (data) => (record.text += data.toString()));
      socket.on('end', () => (record.fate = 'FIN'));
      socket.on('error', () => (record.fate = 'RST'));
      socket.pipe(socket);
    }).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    proxy = await TcpProxy.start('127.0.0.1', (echo.address() as AddressInfo).port);
  });

  afterEach(() => {
    for (const { socket } of clients.splice(0)) socket.destroy();
    echo.close();
  });

  /** Connects, and sends the text. */
  function sendText(text: string): Client {
    const client = new Client(connect(proxy.port, '127.0.0.1'));
    clients.push(client);
    client.socket.write(text);
    return client;
  }

  it('forwards all bytes and the end, and counts connections', async () => {
    const client = sendText('hello');
    await client.receives('hello');
    expect([proxy.connections, proxy.open, proxy.struck]).toEqual([1, 1, 0]);

    client.socket.end();

    await client.isClosedBy('FIN');
    await until('nothing is open', () => proxy.open === 0);
    expect(heard).toEqual([{ text: 'hello', fate: 'FIN' }]);
  });

  it('forwards a megabyte unchanged', async () => {
    const text = 'abcdefgh'.repeat(131_072);
    proxy.injectAt('to client', 'never said', CUT);
    await sendText(text).receives(text);
  });

  it.each<{ direction: Direction; fault: Fault; fate: 'FIN' | 'RST' }>([
    { direction: 'to server', fault: CUT, fate: 'FIN' },
    { direction: 'to client', fault: CUT, fate: 'FIN' },
    { direction: 'to server', fault: RESET, fate: 'RST' },
    { direction: 'to client', fault: RESET, fate: 'RST' },
  ])(
    'opens no connection to the server for an immediate $fault.kind $direction',
    async ({ direction, fault, fate }) => {
      proxy.inject(direction, fault);
      const client = sendText('hello');
      await client.isClosedBy(fate);
      expect(client.text).toBe('');
      expect(heard).toEqual([]);
    },
  );

  it('cuts after an exact number of bytes to the server', async () => {
    proxy.inject('to server', CUT, { afterBytes: 3 });
    await sendText('hello').isClosedBy('FIN');
    await until('the connection of the server has ended', () => heard[0]?.fate === 'FIN');
    expect(heard).toEqual([{ text: 'hel', fate: 'FIN' }]);
  });

  it.each([CUT, RESET])(
    'applies a $kind after an exact number of bytes to the client',
    async (fault) => {
      proxy.inject('to client', fault, { afterBytes: 5 });
      const client = sendText('hello, world');
      await until('the connection ended', () => client.fate !== 'open');
      expect(client.text).toBe('hello');
    },
  );

  it('finds a text across chunks, and forwards it before the reset', async () => {
    proxy.injectAt('to server', 'KILL 17', RESET);
    const client = sendText('first KI');
    await client.receives('first KI');
    client.socket.write('LL 17, more');
    await client.isClosedBy('RST');
    await until('the connection of the server has ended', () => heard[0]?.fate === 'FIN');
    expect(heard[0]?.text).toBe('first KILL 17');
  });

  it.each([
    ['in one chunk', ['first KILL 17'], 'first '],
    ['across chunks', ['first KI', 'LL 17'], 'first KI'],
  ])('cuts before a text is complete: %s', async (_, [first = '', second], arrived) => {
    proxy.injectAt('to server', 'KILL 17', CUT, { when: 'before' });
    const client = sendText(first);
    if (second !== undefined) {
      await client.receives(first);
      client.socket.write(second);
    }
    await client.isClosedBy('FIN');
    await until('the connection of the server has ended', () => heard[0]?.fate === 'FIN');
    expect(heard[0]?.text).toBe(arrived);
  });

  it('holds back the answer to a text, and releases it with a flush', async () => {
    proxy.injectAt('to server', 'KILL 17', BLACK_HOLE, { faulty: 'to client' });
    const client = sendText('first');
    await client.receives('first');
    client.socket.write(' KILL 17');
    await until('the server heard all', () => heard[0]?.text === 'first KILL 17');

    proxy.heal();
    await sendText('other').receives('other');
    expect([client.text, client.fate]).toEqual(['first', 'open']);

    proxy.heal({ flush: true });
    await client.receives('first KILL 17');
  });

  it('cuts once a text is answered, and does not forward the answer', async () => {
    proxy.injectAt('to server', 'KILL 17', CUT, { when: 'answered' });
    const client = sendText('first');
    await client.receives('first');
    client.socket.write(' KILL 17');
    await client.isClosedBy('FIN');
    await until('the connection of the server has ended', () => heard[0]?.fate === 'FIN');
    expect([client.text, heard[0]?.text, proxy.struck]).toEqual(['first', 'first KILL 17', 1]);
  });

  it('holds back a text after its sender has disconnected, and delivers it late', async () => {
    proxy.injectAt('to server', 'KILL 17', BLACK_HOLE, { when: 'before' });
    const client = sendText('first KILL 17');
    await until('it is held', () => proxy.struck === 1);
    await client.receives('first ');
    client.socket.destroy();
    await once(client.socket, 'close');
    await sendText('other').receives('other');
    expect(heard[0]).toEqual({ text: 'first ', fate: 'open' });

    proxy.heal({ flush: true });

    await until('the connection of the server has ended', () => heard[0]?.fate === 'FIN');
    expect(heard[0]?.text).toBe('first KILL 17');
  });

  it('forwards a reset of the client', async () => {
    const client = sendText('hello');
    await client.receives('hello');
    client.socket.resetAndDestroy();
    await until('the connection of the server has ended', () => heard[0]?.fate === 'RST');
    await until('nothing is open', () => proxy.open === 0);
  });

  it('resets the client when the server cannot be reached', async () => {
    await proxy.close();
    // Nothing listens on the port of the discard service.
    proxy = await TcpProxy.start('127.0.0.1', 9);
    await sendText('hello').isClosedBy('RST');
  });

  it('delays each chunk, in order', async () => {
    proxy.inject('to server', { kind: 'delay', ms: 100 });
    const start = performance.now();
    const client = sendText('a');
    await until('the proxy has it', () => proxy.struck === 1);
    client.socket.write('b');
    await client.receives('ab');
    expect(performance.now() - start).toBeGreaterThanOrEqual(99);
  });

  it('limits the bytes per second, and forwards the end after them', async () => {
    proxy.inject('to server', { kind: 'bandwidth', bytesPerSecond: 100 });
    const start = performance.now();
    const client = sendText('hello, world');
    client.socket.end();
    await client.receives('hello, world');
    expect(performance.now() - start).toBeGreaterThanOrEqual(119);
    await client.isClosedBy('FIN');
    expect(heard).toEqual([{ text: 'hello, world', fate: 'FIN' }]);
  });

  it('finds a text at a limited bandwidth', async () => {
    proxy.inject('to server', { kind: 'bandwidth', bytesPerSecond: 500 });
    proxy.injectAt('to server', 'KILL 17', CUT);
    await sendText('first KILL 17, more').isClosedBy('FIN');
    await until('the connection of the server has ended', () => heard[0]?.fate === 'FIN');
    expect(heard[0]?.text).toBe('first KILL 17');
  });

  describe.each([
    ['at once', 0, ''],
    ['later', 5, 'hello'],
  ])('with a half-open fault %s', (_when, afterBytes, arrived) => {
    it('to the client, ends the connection of the server, and that of the client with a flush', async () => {
      proxy.inject('to client', HALF_OPEN, { afterBytes, connections: 1 });
      const client = sendText('hello');
      await client.receives(arrived);
      await until('it is struck', () => proxy.struck === 1);
      if (afterBytes > 0)
        await until('the connection of the server has ended', () => heard[0]?.fate === 'FIN');
      client.socket.write(', world');
      await sendText('other').receives('other');
      expect([client.text, client.fate]).toEqual([arrived, 'open']);

      proxy.heal({ flush: true });

      await client.isClosedBy('FIN');
      expect(heard.map(({ text }) => text)).not.toContain('hello, world');
    });

    it('to the server, ends the connection of the client, and that of the server with a flush', async () => {
      proxy.inject('to server', HALF_OPEN, { afterBytes });
      const client = sendText('hello');
      await client.isClosedBy('FIN');
      client.socket.destroy();
      await until('the server got what was before', () => heard[0]?.text === arrived);
      expect(heard).toEqual([{ text: arrived, fate: 'open' }]);

      proxy.heal({ flush: true });

      await until('the connection of the server has ended', () => heard[0]?.fate === 'FIN');
    });
  });

  it.each<{ late: Direction }>([{ late: 'to client' }, { late: 'to server' }])(
    'delays the end $late by a slow close, and forwards nothing before it',
    async ({ late }) => {
      proxy.inject(late, { kind: 'slow close', ms: 100 }, { afterBytes: 5 });
      const start = performance.now();
      const client = sendText('hello, world');
      const fates = [() => client.fate, () => heard[0]?.fate];
      const [lateFate, soonFate] = late === 'to client' ? fates : fates.reverse();
      await until('the connection of one side has ended', () => soonFate?.() === 'FIN');
      await until('the connection of the other side has ended', () => lateFate?.() === 'FIN');
      expect(performance.now() - start).toBeGreaterThanOrEqual(99);
      expect(late === 'to client' ? client.text : heard[0]?.text).toBe('hello');
    },
  );

  it('strikes open connections, and no later ones', async () => {
    const open = [sendText('1'), sendText('2')];
    for (const [index, client] of open.entries()) await client.receives(String(index + 1));

    proxy.strike('to client', BLACK_HOLE);
    for (const { socket } of open) socket.write('more');
    await sendText('3').receives('3');
    await until('the server heard all', () =>
      heard.every(({ text }) => text !== '1' && text !== '2'),
    );
    expect([open.map(({ text }) => text), proxy.struck]).toEqual([['1', '2'], 2]);

    proxy.strike('to client', RESET);
    for (const client of open) await client.isClosedBy('RST');
  });

  it('strikes a limited number of connections, and none once healed', async () => {
    proxy.inject('to client', CUT, { connections: 2 });
    await sendText('1').isClosedBy('FIN');
    await sendText('2').isClosedBy('FIN');
    await sendText('3').receives('3');
    proxy.inject('to client', CUT);
    await sendText('4').isClosedBy('FIN');
    proxy.heal();
    await sendText('5').receives('5');
    expect([proxy.connections, proxy.struck]).toEqual([5, 3]);
  });
});

describe.each(servers)('a TCP proxy before $flavour $version', (server) => {
  const opened: Connection[] = [];

  beforeEach(async () => {
    proxy = await TcpProxy.start(server.host, server.port);
  });
  afterEach(() => {
    for (const connection of opened.splice(0)) connection.destroy();
  });

  async function open({ direct = false } = {}): Promise<Connection> {
    const target = direct ? server : { ...server, host: '127.0.0.1', port: proxy.port };
    const connection = await connectAs(target, server.root);
    // Without a listener, mysql2 throws an error that occurs between two statements.
    connection.on('error', () => undefined);
    opened.push(connection);
    return connection;
  }

  async function ask(): Promise<unknown> {
    const [rows] = await (await open()).query("SELECT CONCAT('an', 'swer') AS it");
    return rows;
  }

  it('forwards a statement', async () => {
    expect(await ask()).toEqual([{ it: 'answer' }]);
    expect(proxy.connections).toBe(1);
  });

  describe.each<[string, Direction, number | string, 'before' | 'after']>([
    ['at once', 'to client', 0, 'after'],
    ['in the greeting', 'to client', 10, 'after'],
    ['in the login', 'to server', 10, 'after'],
    ['before the statement', 'to server', 'SELECT', 'before'],
    ['after the statement', 'to server', 'AS it', 'after'],
    ['in the answer', 'to client', 'answ', 'after'],
  ])('with a fault %s', (_, direction, at, when) => {
    it.each([CUT, RESET])('makes the client fail with a $kind', async (fault) => {
      if (typeof at === 'number') proxy.inject(direction, fault, { afterBytes: at });
      else proxy.injectAt(direction, at, fault, { when });
      await expect(ask()).rejects.toMatchObject({
        code: expect.stringMatching(/^(PROTOCOL_CONNECTION_LOST|ECONNRESET|EPIPE)$/),
      });
      expect(proxy.struck).toBe(1);
      proxy.heal();
      expect(await ask()).toEqual([{ it: 'answer' }]);
    });
  });

  describe('with a KILL', () => {
    let victim: bigint;
    let kill: string;

    beforeEach(async () => {
      const connection = await open({ direct: true });
      victim = BigInt(connection.threadId);
      kill = `KILL CONNECTION ${victim}`;
    });

    async function isAlive(): Promise<boolean> {
      return (await liveIds(server)).has(victim);
    }

    it('cuts before the KILL reaches the server', async () => {
      proxy.injectAt('to server', kill, CUT, { when: 'before' });
      const killer = await open();
      await expect(killer.query(kill)).rejects.toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST' });
      await until('the server has closed the connection of the killer', () => hasGone(killer));
      expect(await isAlive()).toBe(true);
    });

    it('resets after the KILL has reached the server', async () => {
      proxy.injectAt('to server', kill, RESET);
      await expect((await open()).query(kill)).rejects.toMatchObject({ code: 'ECONNRESET' });
      await until('the victim is gone', async () => !(await isAlive()));
    });

    it('holds back the answer to the KILL', async () => {
      proxy.injectAt('to server', kill, BLACK_HOLE, { faulty: 'to client' });
      const killer = await open();
      let isAnswered = false;
      const answer = killer.query(kill).then(() => (isAnswered = true));
      await until('the victim is gone', async () => !(await isAlive()));
      expect(isAnswered).toBe(false);
      proxy.heal({ flush: true });
      await answer;
    });

    it('holds back the KILL, and releases it after its sender has disconnected', async () => {
      proxy.injectAt('to server', kill, BLACK_HOLE, { when: 'before' });
      const killer = await open();
      killer.query(kill).catch(() => undefined);
      await until('it is held', () => proxy.struck === 1);
      killer.destroy();
      expect(await isAlive()).toBe(true);

      proxy.heal({ flush: true });

      await until('the victim is gone', async () => !(await isAlive()));
      await until('nothing is open', () => proxy.open === 0);
    });
  });

  async function hasGone({ threadId }: Connection): Promise<boolean> {
    const rows = await processList(server);
    return rows.every((row) => String(row['Id']) !== String(threadId));
  }
});

/** The client's end of a connection: the text that it received, and how the connection ended. */
class Client {
  readonly socket: Socket;
  text = '';
  fate: 'open' | 'FIN' | 'RST' = 'open';

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (data) => (this.text += data.toString()));
    socket.on('end', () => (this.fate = 'FIN'));
    socket.on('error', () => (this.fate = 'RST'));
  }

  async receives(text: string): Promise<void> {
    await until('the client has heard it', () => this.text.length >= text.length);
    expect(this.text).toBe(text);
  }

  async isClosedBy(fate: 'FIN' | 'RST'): Promise<void> {
    await until('the connection ended', () => this.fate !== 'open');
    expect(this.fate).toBe(fate);
  }
}
