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

  /** Connects and says this. */
  function say(text: string): Client {
    const client = new Client(connect(proxy.port, '127.0.0.1'));
    clients.push(client);
    client.socket.write(text);
    return client;
  }

  it('passes everything on, the end included, and counts', async () => {
    const client = say('hello');
    await client.hears('hello');
    expect([proxy.connections, proxy.open, proxy.struck]).toEqual([1, 1, 0]);

    client.socket.end();

    await client.meets('FIN');
    await until('nothing is open', () => proxy.open === 0);
    expect(heard).toEqual([{ text: 'hello', fate: 'FIN' }]);
  });

  it('passes on a megabyte unchanged', async () => {
    const text = 'abcdefgh'.repeat(131_072);
    proxy.injectAt('to client', 'never said', CUT);
    await say(text).hears(text);
  });

  it.each<{ direction: Direction; fault: Fault; fate: 'FIN' | 'RST' }>([
    { direction: 'to server', fault: CUT, fate: 'FIN' },
    { direction: 'to client', fault: CUT, fate: 'FIN' },
    { direction: 'to server', fault: RESET, fate: 'RST' },
    { direction: 'to client', fault: RESET, fate: 'RST' },
  ])('$fault.kind at once, $direction: calls no server', async ({ direction, fault, fate }) => {
    proxy.inject(direction, fault);
    const client = say('hello');
    await client.meets(fate);
    expect(client.text).toBe('');
    expect(heard).toEqual([]);
  });

  it('cuts after exactly so many bytes to the server', async () => {
    proxy.inject('to server', CUT, { afterBytes: 3 });
    await say('hello').meets('FIN');
    await until('the server knows', () => heard[0]?.fate === 'FIN');
    expect(heard).toEqual([{ text: 'hel', fate: 'FIN' }]);
  });

  it.each([CUT, RESET])('$kind after exactly so many bytes to the client', async (fault) => {
    proxy.inject('to client', fault, { afterBytes: 5 });
    const client = say('hello, world');
    await until('the connection ended', () => client.fate !== 'open');
    expect(client.text).toBe('hello');
  });

  it('finds a text across chunks and forwards it before it resets', async () => {
    proxy.injectAt('to server', 'KILL 17', RESET);
    const client = say('first KI');
    await client.hears('first KI');
    client.socket.write('LL 17, more');
    await client.meets('RST');
    await until('the server knows', () => heard[0]?.fate === 'FIN');
    expect(heard[0]?.text).toBe('first KILL 17');
  });

  it.each([
    ['in one chunk', ['first KILL 17'], 'first '],
    ['across chunks', ['first KI', 'LL 17'], 'first KI'],
  ])('cuts before a text is complete: %s', async (_, [first = '', second], arrived) => {
    proxy.injectAt('to server', 'KILL 17', CUT, { when: 'before' });
    const client = say(first);
    if (second !== undefined) {
      await client.hears(first);
      client.socket.write(second);
    }
    await client.meets('FIN');
    await until('the server knows', () => heard[0]?.fate === 'FIN');
    expect(heard[0]?.text).toBe(arrived);
  });

  it('swallows the answer to a text, and releases it when healed', async () => {
    proxy.injectAt('to server', 'KILL 17', BLACK_HOLE, { faulty: 'to client' });
    const client = say('first');
    await client.hears('first');
    client.socket.write(' KILL 17');
    await until('the server heard all', () => heard[0]?.text === 'first KILL 17');

    proxy.heal();
    await say('other').hears('other');
    expect([client.text, client.fate]).toEqual(['first', 'open']);

    proxy.heal({ flush: true });
    await client.hears('first KILL 17');
  });

  it('cuts when a text is answered, before the answer', async () => {
    proxy.injectAt('to server', 'KILL 17', CUT, { when: 'answered' });
    const client = say('first');
    await client.hears('first');
    client.socket.write(' KILL 17');
    await client.meets('FIN');
    await until('the server knows', () => heard[0]?.fate === 'FIN');
    expect([client.text, heard[0]?.text, proxy.struck]).toEqual(['first', 'first KILL 17', 1]);
  });

  it('holds a text back even after its sender has gone, and delivers it late', async () => {
    proxy.injectAt('to server', 'KILL 17', BLACK_HOLE, { when: 'before' });
    const client = say('first KILL 17');
    await until('it is held', () => proxy.struck === 1);
    await client.hears('first ');
    client.socket.destroy();
    await once(client.socket, 'close');
    await say('other').hears('other');
    expect(heard[0]).toEqual({ text: 'first ', fate: 'open' });

    proxy.heal({ flush: true });

    await until('the server knows', () => heard[0]?.fate === 'FIN');
    expect(heard[0]?.text).toBe('first KILL 17');
  });

  it('passes a reset of the client on', async () => {
    const client = say('hello');
    await client.hears('hello');
    client.socket.resetAndDestroy();
    await until('the server knows', () => heard[0]?.fate === 'RST');
    await until('nothing is open', () => proxy.open === 0);
  });

  it('resets the client when the server cannot be reached', async () => {
    await proxy.close();
    // Nothing listens on the port of the discard service.
    proxy = await TcpProxy.start('127.0.0.1', 9);
    await say('hello').meets('RST');
  });

  it('delays each chunk, in order', async () => {
    proxy.inject('to server', { kind: 'delay', ms: 100 });
    const start = performance.now();
    const client = say('a');
    await until('the proxy has it', () => proxy.struck === 1);
    client.socket.write('b');
    await client.hears('ab');
    expect(performance.now() - start).toBeGreaterThanOrEqual(99);
  });

  it('lets so many bytes through in a second, in order, and the end behind them', async () => {
    proxy.inject('to server', { kind: 'bandwidth', bytesPerSecond: 100 });
    const start = performance.now();
    const client = say('hello, world');
    client.socket.end();
    await client.hears('hello, world');
    expect(performance.now() - start).toBeGreaterThanOrEqual(119);
    await client.meets('FIN');
    expect(heard).toEqual([{ text: 'hello, world', fate: 'FIN' }]);
  });

  it('finds a text that comes through a narrow line', async () => {
    proxy.inject('to server', { kind: 'bandwidth', bytesPerSecond: 500 });
    proxy.injectAt('to server', 'KILL 17', CUT);
    await say('first KILL 17, more').meets('FIN');
    await until('the server knows', () => heard[0]?.fate === 'FIN');
    expect(heard[0]?.text).toBe('first KILL 17');
  });

  describe.each([
    ['at once', 0, ''],
    ['later', 5, 'hello'],
  ])('half-open %s', (_when, afterBytes, arrived) => {
    it('to the client: the server is told of an end and the client is not, until it is flushed', async () => {
      proxy.inject('to client', HALF_OPEN, { afterBytes, connections: 1 });
      const client = say('hello');
      await client.hears(arrived);
      await until('it is struck', () => proxy.struck === 1);
      if (afterBytes > 0) await until('the server knows', () => heard[0]?.fate === 'FIN');
      client.socket.write(', world');
      await say('other').hears('other');
      expect([client.text, client.fate]).toEqual([arrived, 'open']);

      proxy.heal({ flush: true });

      await client.meets('FIN');
      expect(heard.map(({ text }) => text)).not.toContain('hello, world');
    });

    it('to the server: the client is told of an end and the server is not, until it is flushed', async () => {
      proxy.inject('to server', HALF_OPEN, { afterBytes });
      const client = say('hello');
      await client.meets('FIN');
      client.socket.destroy();
      await until('the server got what was before', () => heard[0]?.text === arrived);
      expect(heard).toEqual([{ text: arrived, fate: 'open' }]);

      proxy.heal({ flush: true });

      await until('the server knows', () => heard[0]?.fate === 'FIN');
    });
  });

  it.each<{ late: Direction }>([{ late: 'to client' }, { late: 'to server' }])(
    'closes slowly $late: the end comes later there, and nothing before it',
    async ({ late }) => {
      proxy.inject(late, { kind: 'slow close', ms: 100 }, { afterBytes: 5 });
      const start = performance.now();
      const client = say('hello, world');
      const fates = [() => client.fate, () => heard[0]?.fate];
      const [lateFate, soonFate] = late === 'to client' ? fates : fates.reverse();
      await until('one side knows', () => soonFate?.() === 'FIN');
      await until('the other side knows', () => lateFate?.() === 'FIN');
      expect(performance.now() - start).toBeGreaterThanOrEqual(99);
      expect(late === 'to client' ? client.text : heard[0]?.text).toBe('hello');
    },
  );

  it('strikes what is open, and nothing that comes later', async () => {
    const open = [say('1'), say('2')];
    for (const [index, client] of open.entries()) await client.hears(String(index + 1));

    proxy.strike('to client', BLACK_HOLE);
    for (const { socket } of open) socket.write('more');
    await say('3').hears('3');
    await until('the server heard all', () =>
      heard.every(({ text }) => text !== '1' && text !== '2'),
    );
    expect([open.map(({ text }) => text), proxy.struck]).toEqual([['1', '2'], 2]);

    proxy.strike('to client', RESET);
    for (const client of open) await client.meets('RST');
  });

  it('strikes only so many connections, and none once healed', async () => {
    proxy.inject('to client', CUT, { connections: 2 });
    await say('1').meets('FIN');
    await say('2').meets('FIN');
    await say('3').hears('3');
    proxy.inject('to client', CUT);
    await say('4').meets('FIN');
    proxy.heal();
    await say('5').hears('5');
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
    // mysql2 throws what happens between two statements, if nobody listens.
    connection.on('error', () => undefined);
    opened.push(connection);
    return connection;
  }

  async function ask(): Promise<unknown> {
    const [rows] = await (await open()).query("SELECT CONCAT('an', 'swer') AS it");
    return rows;
  }

  it('lets a statement through', async () => {
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
  ])('%s', (_, direction, at, when) => {
    it.each([CUT, RESET])('$kind makes the client fail', async (fault) => {
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

    it('cuts before it reaches the server', async () => {
      proxy.injectAt('to server', kill, CUT, { when: 'before' });
      const killer = await open();
      await expect(killer.query(kill)).rejects.toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST' });
      await until('the server let the killer go', () => hasGone(killer));
      expect(await isAlive()).toBe(true);
    });

    it('resets after it reached the server', async () => {
      proxy.injectAt('to server', kill, RESET);
      await expect((await open()).query(kill)).rejects.toMatchObject({ code: 'ECONNRESET' });
      await until('the victim is gone', async () => !(await isAlive()));
    });

    it('swallows the answer to it', async () => {
      proxy.injectAt('to server', kill, BLACK_HOLE, { faulty: 'to client' });
      const killer = await open();
      let isAnswered = false;
      const answer = killer.query(kill).then(() => (isAnswered = true));
      await until('the victim is gone', async () => !(await isAlive()));
      expect(isAnswered).toBe(false);
      proxy.heal({ flush: true });
      await answer;
    });

    it('holds it back, and releases it after its sender gave up', async () => {
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

/** The client's end of a connection: what it heard, and how that ended. */
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

  async hears(text: string): Promise<void> {
    await until('the client has heard it', () => this.text.length >= text.length);
    expect(this.text).toBe(text);
  }

  async meets(fate: 'FIN' | 'RST'): Promise<void> {
    await until('the connection ended', () => this.fate !== 'open');
    expect(this.fate).toBe(fate);
  }
}
