import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createMysqlServer, type Connection } from 'mysql2';
import type { Node } from '../../src/domain/node.ts';
import { sessionOf, type Session } from '../../src/domain/session.ts';
import { FreshSessions, MAX_LIST_AGE_MS } from '../../src/domain/fresh-sessions.ts';
import type { KillLimits, ProcessList } from '../../src/domain/node.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { fakeNode } from '../support/ids.ts';
import { until } from '../support/until.ts';

/** Answers of a server, by statement; a statement without one hangs. */
type Script = (sql: string, connection: Connection) => void;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const LIMITS = { connectTimeoutMs: 300, listTimeoutMs: 300, killTimeoutMs: 300 };

/** A TCP server that does as told with each connection. */
async function rawServer(onSocket: (socket: Socket) => void): Promise<Node> {
  const server = createServer(onSocket);
  await listen(server);
  return nodeAt(server);
}

/** A server that speaks the protocol and follows the script. */
async function scriptedNode(script: Script): Promise<Node> {
  const server = createMysqlServer((connection: Connection) => {
    connection.on('error', () => undefined);
    connection.serverHandshake({
      protocolVersion: 10,
      serverVersion: '8.4.0',
      connectionId: 77,
      statusFlags: 2,
      characterSet: 8,
      capabilityFlags: (0xffffff ^ 0x800 ^ 0x20) >>> 0,
      authCallback(_login: unknown, done: (error: null, failure: null) => void) {
        done(null, null);
        connection.sequenceId = 0;
      },
    });
    connection.on('query', (sql: string) => {
      connection.sequenceId = 1;
      script(sql, connection);
      connection.sequenceId = 0;
    });
  }) as unknown as { _server: Server };
  await listen(server._server);
  return nodeAt(server._server);
}

async function listen(server: Server): Promise<void> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket.on('error', () => undefined));
  });
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}

function nodeAt(server: Server): Node {
  const { port } = server.address() as AddressInfo;
  return { ...fakeNode, ...LIMITS, host: '127.0.0.1', port, tls: 'disabled' };
}

const COLUMNS = ['Id', 'User', 'Host', 'db', 'Command', 'Time', 'State', 'Info'];

/** Text columns of a result set. */
function columns(names: readonly string[]): object[] {
  return names.map((name) => ({
    catalog: 'def',
    schema: '',
    table: '',
    orgTable: '',
    name,
    orgName: name,
    characterSet: 33,
    columnLength: 384,
    columnType: 253,
    flags: 0,
    decimals: 0,
  }));
}

const MYSQL = '8.4.0';
const TIDB = '8.0.11-TiDB-v8.5.0';
const GRANTS = 'GRANT PROCESS, CONNECTION_ADMIN ON *.* TO `session_control`@`%`';

/** A server that is in order until its script says otherwise. */
function ordinary(
  exceptions: Script = () => undefined,
  { version = MYSQL, grants = GRANTS, rows = [client(1), client(2)] } = {},
): Script {
  return (sql, connection) => {
    const answer = (row: Record<string, string>): void => {
      connection.writeTextResult([row], columns(Object.keys(row)));
    };
    if (sql.includes('CONNECTION_ID()')) answer({ id: '77', version });
    else if (/UNIX_TIMESTAMP/.test(sql)) answer({ server: 'a', start: '1000', uptime: '500' });
    else if (sql.includes('@@hostname')) answer({ server: 'a' });
    else if (sql.startsWith('SHOW GLOBAL STATUS')) answer({ name: 'Uptime', value: '500' });
    else if (sql === 'SHOW GRANTS') answer({ grants });
    else if (sql === 'SHOW PROCESSLIST') {
      connection.writeTextResult([own(), ...rows], columns(COLUMNS));
    } else exceptions(sql, connection);
  };
}

function client(id: number): Record<string, string | null> {
  const [Id, Host] = [id.toString(), `10.0.0.4:${5000 + id}`];
  return { Id, User: 'app', Host, db: 'shop', Command: 'Sleep', Time: '1', State: '', Info: null };
}

function own(): Record<string, string | null> {
  return { ...client(77), User: 'session_control' };
}

async function use(node: Node): Promise<unknown> {
  return new MysqlNodes().withConnection(node, Infinity, (connection) => connection.list(Infinity));
}

describe('a node that cannot be spoken to', () => {
  const cases: readonly [string, () => Promise<Node>, string][] = [
    [
      'accepts and says nothing',
      () => rawServer(() => undefined),
      'The node did not answer within 300 ms.',
    ],
    [
      'closes at once',
      () => rawServer((socket) => socket.end()),
      'The connection to the node was lost.',
    ],
    [
      'has no connection left, in place of a greeting',
      () =>
        rawServer((socket) =>
          socket.end(Buffer.from('17000000ff1004546f6f206d616e7920636f6e6e656374696f6e73', 'hex')),
        ),
      'The node has no connection left for the control account.',
    ],
    [
      'speaks another protocol',
      () => rawServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
      'The connection to the node was lost.',
    ],
    [
      'logs in and hangs',
      () => scriptedNode(() => undefined),
      'The node did not answer within 300 ms.',
    ],
    [
      'hangs in the list',
      () =>
        scriptedNode((sql, connection) => {
          if (sql !== 'SHOW PROCESSLIST') ordinary()(sql, connection);
        }),
      'The node did not answer within 300 ms.',
    ],
    [
      'does not show our own connection',
      () =>
        scriptedNode((sql, connection) => {
          if (sql === 'SHOW PROCESSLIST') connection.writeTextResult([client(1)], columns(COLUMNS));
          else ordinary()(sql, connection);
        }),
      "The node's process list does not show the control connection that reads it, as if a proxy stood in between, or it were shutting down.",
    ],
    ...[
      { what: 'is of another account', User: 'app' },
      { what: 'runs another statement', Info: 'SELECT 1' },
    ].map(({ what, ...changes }): [string, () => Promise<Node>, string] => [
      `shows our id, but it ${what}`,
      () =>
        scriptedNode((sql, connection) => {
          const row = { ...own(), ...changes };
          if (sql === 'SHOW PROCESSLIST') connection.writeTextResult([row], columns(COLUMNS));
          else ordinary()(sql, connection);
        }),
      "The node's process list does not show the control connection that reads it, as if a proxy stood in between, or it were shutting down.",
    ]),
    [
      'has renamed a column',
      () =>
        scriptedNode((sql, connection) => {
          const renamed = COLUMNS.map((name) => (name === 'Host' ? 'Client' : name));
          if (sql === 'SHOW PROCESSLIST') connection.writeTextResult([own()], columns(renamed));
          else ordinary()(sql, connection);
        }),
      'The node gave a process list that cannot be read.',
    ],
    [
      'says that it is no MySQL',
      () => scriptedNode(ordinary(undefined, { version: 'PostgreSQL' })),
      'The node does not answer as MySQL, MariaDB or TiDB do.',
    ],
    [
      'is another server than configured',
      async () => ({ ...(await scriptedNode(ordinary())), serverUuid: 'b' }),
      'Another server than the one with the configured server_uuid answers at the address of the node.',
    ],
    ...[
      ['PROCESS ON *.*', 'GRANT CONNECTION_ADMIN ON *.* TO `a`@`%`', MYSQL],
      ['PROCESS ON *.*', 'GRANT PROCESS ON `shop`.* TO `a`@`%`', MYSQL],
      ['CONNECTION_ADMIN ON *.*', 'GRANT PROCESS, RELOAD ON *.* TO `a`@`%`', MYSQL],
      ['SUPER ON *.*', 'GRANT PROCESS ON *.* TO `a`@`%`', '5.7.44'],
      ['CONNECTION ADMIN ON *.*', 'GRANT PROCESS, SUPER ON *.* TO `a`@`%`', '11.8.9-MariaDB'],
      ['CONNECTION_ADMIN ON *.*', 'GRANT PROCESS ON *.* TO `a`@`%`', TIDB],
    ].map(([lacking, grants, version]): [string, () => Promise<Node>, string] => [
      `has given us ${String(grants)} on ${String(version)}`,
      () => scriptedNode(ordinary(undefined, { version, grants })),
      `The control account lacks a privilege on the node: GRANT ${String(lacking)}, or make the role that has it a default role.`,
    ]),
    [
      'offers no TLS and is not on loopback',
      async () => ({ ...(await scriptedNode(ordinary())), tls: { ca: '', serverName: undefined } }),
      'The node offers no TLS, and the password of the control account crosses only the loopback interface unencrypted.',
    ],
  ];

  it.each(cases)('%s', async (_what, start, message) => {
    await expect(use(await start())).rejects.toMatchObject({ code: 'node_unavailable', message });
  });
});

/** Kills sessions 1 and 2 on a server that answers KILLs by the script; what the server heard, and the outcomes. */
async function killBoth(
  onKill: Script,
  options: { readonly version?: string; readonly killWith?: Node['killWith'] } = {},
): Promise<{ heard: string[]; outcomes: string[] }> {
  const { version = MYSQL, killWith = 'kill' } = options;
  const heard: string[] = [];
  const grants = killWith === 'kill' ? GRANTS : 'GRANT PROCESS, EXECUTE ON *.* TO `a`@`%`';
  const hears: Script = (sql, connection) => {
    heard.push(sql);
    onKill(sql, connection);
  };
  const node = { ...(await scriptedNode(ordinary(hears, { version, grants }))), killWith };
  const outcomes = await new MysqlNodes().withConnection(node, Infinity, async (connection) => {
    await connection.list(Infinity);
    const results: string[] = [];
    for (const id of ['1', '2']) {
      const row = { id, user: '', host: '', db: '', command: '', time: '', state: '', info: '' };
      results.push(
        (await connection.kill(sessionOf(row), { sendBy: Infinity, deadline: Infinity })).outcome,
      );
    }
    return results;
  });
  return { heard, outcomes };
}

describe('a KILL', () => {
  const error =
    (code: number): Script =>
    (sql, connection) => {
      if (sql.endsWith(' 1')) connection.writeError({ code, message: 'as scripted' });
      else connection.writeOk();
    };

  it.each<[string, Script, string[]]>([
    [
      'is accepted',
      (_sql, connection) => {
        connection.writeOk();
      },
      ['killed', 'killed'],
    ],
    ['names nobody: 1094', error(1094), ['not_found', 'killed']],
    ['is denied: 1095', error(1095), ['refused', 'killed']],
    ['is forbidden: 1227', error(1227), ['refused', 'killed']],
    ['meets the end of our own connection: 1317', error(1317), ['unknown', 'not_sent']],
    ['meets a shutdown: 1053', error(1053), ['unknown', 'not_sent']],
    ['gets no answer', () => undefined, ['unknown', 'not_sent']],
    [
      'loses the connection',
      (_sql, connection) => {
        (connection as unknown as { stream: Socket }).stream.destroy();
      },
      ['unknown', 'not_sent'],
    ],
  ])('%s', async (_what, onKill, expected) => {
    const { heard, outcomes } = await killBoth(onKill);

    expect(outcomes).toEqual(expected);
    const sent = expected.filter((outcome) => outcome !== 'not_sent').length;
    expect(heard).toEqual(['KILL CONNECTION 1', 'KILL CONNECTION 2'].slice(0, sent));
  });

  it('on TiDB says so, and a warning with its OK is a refusal', async () => {
    const { heard, outcomes } = await killBoth(
      (sql, connection) => {
        if (sql === 'SHOW WARNINGS') {
          const row = { Level: 'Warning', Code: '1105', Message: 'as scripted' };
          connection.writeTextResult([row], columns(Object.keys(row)));
        } else {
          connection.writeOk({ warningCount: sql.endsWith(' 1') ? 1 : 0 });
        }
      },
      { version: TIDB },
    );
    expect(outcomes).toEqual(['refused', 'killed']);
    expect(heard).toEqual(['KILL TIDB CONNECTION 1', 'SHOW WARNINGS', 'KILL TIDB CONNECTION 2']);
  });

  it('goes through the procedure of RDS where the node says so', async () => {
    const { heard, outcomes } = await killBoth(
      (sql, connection) => {
        if (sql.includes('(1)')) connection.writeError({ code: 1644, message: 'Cannot kill' });
        else connection.writeOk();
      },
      { killWith: 'rds_kill' },
    );
    expect(outcomes).toEqual(['refused', 'killed']);
    expect(heard).toEqual(['CALL mysql.rds_kill(1)', 'CALL mysql.rds_kill(2)']);
  });

  it('is not sent to a node that refuses the login, whose connection is let go of', async () => {
    let open = 0;
    const node = await rawServer((socket) => {
      open += 1;
      socket.on('close', () => (open -= 1));
      // Keeps the line open after its refusal.
      socket.write(Buffer.from('17000000ff1004546f6f206d616e7920636f6e6e656374696f6e73', 'hex'));
    });
    await expect(use(node)).rejects.toMatchObject({ code: 'node_unavailable' });
    await until('the socket is closed', () => open === 0);
  });

  it('that hangs leaves no connection behind', async () => {
    let open = 0;
    const node = await scriptedNode(ordinary());
    const proxy = createServer((socket) => {
      open += 1;
      socket.on('error', () => undefined).on('close', () => (open -= 1));
    });
    await listen(proxy);
    const silent = { ...node, port: (proxy.address() as AddressInfo).port };

    await expect(use(silent)).rejects.toMatchObject({ code: 'node_unavailable' });

    await until('the socket is closed', () => open === 0);
  });

  it('that had to wait for its turn is sent only by a list that is still fresh', async () => {
    const heard: string[] = [];
    const held: (() => void)[] = [];
    const script = ordinary((sql, connection) => {
      if (sql.endsWith(' 1'))
        held.push(() => {
          answerLate(connection);
        });
      else connection.writeOk();
    });
    const node = await scriptedNode((sql, connection) => {
      heard.push(sql);
      script(sql, connection);
    });
    const nodes = new MysqlNodes();
    await nodes.withConnection({ ...node, killTimeoutMs: 10_000 }, Infinity, async (connection) => {
      const select = ({ rows }: ProcessList): Map<bigint, Session> =>
        new Map(rows.map((row) => [BigInt(row.id ?? 0), sessionOf({ ...row, id: row.id ?? '' })]));
      const now = () => performance.now();
      const sessions = await FreshSessions.read(connection, select, now, Infinity);
      const [first, second] = [sessions.get(1n), sessions.get(2n)];
      if (first === undefined || second === undefined) throw new Error('They are not listed');
      const before = heard.length;
      const ended = [sessions.end(first, Infinity), sessions.end(second, Infinity)];
      const { askedAt } = sessions.list;
      await until('the list is too old', () => performance.now() - askedAt > MAX_LIST_AGE_MS + 100);
      held[0]?.();
      expect((await Promise.all(ended)).map(({ outcome }) => outcome)).toEqual([
        'killed',
        'killed',
      ]);
      expect(heard.slice(before)).toEqual([
        'KILL CONNECTION 1',
        'SHOW PROCESSLIST',
        'KILL CONNECTION 2',
      ]);
    });
    nodes.close();
  });
});

describe('many KILLs at once', () => {
  const ids = Array.from({ length: 200 }, (_, index) => index + 1);
  const SOON = { sendBy: Infinity, deadline: Infinity };

  /** Sends all of them to a scripted server. */
  async function killAll(
    onKill: Script,
    limits = (): KillLimits => SOON,
  ): Promise<{ heard: number; told: string[]; unsent: number; isUsable: boolean }> {
    let heard = 0;
    const hears: Script = (sql, connection) => {
      heard += 1;
      onKill(sql, connection);
    };
    const node = await scriptedNode(ordinary(hears));
    const told: string[] = [];
    return new MysqlNodes().withConnection(node, Infinity, async (connection) => {
      const sessions = ids.map((id) => {
        const [Id, Host] = [id.toString(), '10.0.0.4:5000'];
        return sessionOf({ ...NOBODY, id: Id, host: Host });
      });
      const unsent = await connection.killAhead(sessions, limits(), ({ id }, { outcome }) => {
        expect(id).toBe(BigInt(told.length + 1));
        told.push(outcome);
      });
      const isUsable = await connection.list(Infinity).then(
        () => true,
        () => false,
      );
      return { heard, told, unsent: unsent.length, isUsable };
    });
  }

  const at =
    (id: number, script: Script): Script =>
    (sql, connection) => {
      if (sql === `KILL CONNECTION ${id}`) script(sql, connection);
      else connection.writeOk();
    };
  /** As servers do, it answers nothing behind a statement that it has not answered. */
  const from =
    (id: number, script: Script): Script =>
    (sql, connection) => {
      const number = Number(sql.split(' ').at(-1));
      if (number === id) script(sql, connection);
      else if (number < id) connection.writeOk();
    };
  const count = (told: readonly string[], outcome: string): number =>
    told.filter((one) => one === outcome).length;

  it.each([
    [1094, 'not_found'],
    [1095, 'refused'],
    [1227, 'refused'],
  ])('go on behind error %i', async (code, outcome) => {
    const answer = await killAll(
      at(50, (_sql, connection) => {
        connection.writeError({ code, message: 'as scripted' });
      }),
    );
    expect(answer).toMatchObject({ heard: 200, unsent: 0, isUsable: true });
    expect(answer.told[49]).toBe(outcome);
    expect(count(answer.told, 'killed')).toBe(199);
  });

  it.each<[string, Script]>([
    ['no answer', () => undefined],
    [
      'the end of our connection',
      (_sql, connection) => {
        connection.writeError({ code: 1317, message: 'as scripted' });
      },
    ],
    [
      'no line any more',
      (_sql, connection) => {
        (connection as unknown as { stream: Socket }).stream.destroy();
      },
    ],
    [
      'rows',
      (_sql, connection) => {
        connection.writeTextResult([{ a: 'b' }], columns(['a']));
      },
    ],
  ])(
    'leave in doubt what was on the way, and unsent what was not, behind one that gets %s',
    async (_what, script) => {
      const { told, unsent, isUsable } = await killAll(from(100, script));
      expect(told.slice(0, 99)).toEqual(Array.from({ length: 99 }, () => 'killed'));
      expect(count(told, 'unknown')).toBe(told.length - 99);
      expect(count(told, 'unknown')).toBeLessThanOrEqual(64);
      expect(unsent).toBe(200 - told.length);
      expect(isUsable).toBe(false);
    },
  );

  it('are at most 64 ahead of the answers', async () => {
    const { heard, told, unsent } = await killAll(() => undefined);
    expect([told.length, unsent]).toEqual([64, 136]);
    expect(heard).toBeLessThanOrEqual(64);
  });

  it('are no longer sent when the list is too old, and those on the way are told', async () => {
    let sendBy = 0;
    const held: (() => void)[] = [];
    const hold: Script = (sql, connection) => {
      if (Number(sql.split(' ').at(-1)) < 20) connection.writeOk();
      else {
        held.push(() => {
          answerLate(connection);
        });
      }
    };
    void until('the list is too old', () => sendBy > 0 && performance.now() > sendBy).then(() => {
      for (const answer of held) answer();
    });
    const { told, unsent, isUsable } = await killAll(hold, () => {
      sendBy = performance.now() + 150;
      return { sendBy, deadline: Infinity };
    });
    expect(told).toEqual(told.map(() => 'killed'));
    expect(told.length).toBeGreaterThanOrEqual(64);
    expect(told.length).toBeLessThan(200);
    expect(unsent).toBe(200 - told.length);
    expect(isUsable).toBe(true);
  });
});

const NOBODY = { user: '', db: '', command: '', time: '', state: '', info: '' };

/** An answer outside the handler of its statement. */
function answerLate(connection: Parameters<Script>[1]): void {
  connection.sequenceId = 1;
  connection.writeOk();
  connection.sequenceId = 0;
}
