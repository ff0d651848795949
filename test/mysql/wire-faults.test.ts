import { describe, expect, it, jest } from '@jest/globals';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import type { KillResult, Node } from '../../src/domain/node.ts';
import { sessionOf } from '../../src/domain/session.ts';
import type { RunningStatement } from '../../src/domain/statement.ts';
import type { ListedRow } from '../../src/domain/user-sessions.ts';
import {
  MAX_LIST_AGE_MS,
  SessionSelector,
  SessionSnapshot,
} from '../../src/domain/session-snapshot.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import {
  COLUMNS,
  GRANTS,
  MYSQL,
  TIDB,
  answerLate,
  client,
  columns,
  listen,
  ordinary,
  own,
  rawServer,
  scriptedNode,
  type Script,
} from '../support/scripted-node.ts';
import { until } from '../support/until.ts';

async function use(node: Node): Promise<unknown> {
  return new MysqlNodes().withConnection(node, Infinity, (connection) => connection.list(Infinity));
}

const MARIADB = '10.11.6-MariaDB';
const NOT_PINNED =
  "The server at the node's address is not the one that server_uuid or server_identity names. Correct that line or the address in the registry.";

describe('a node', () => {
  const cases: readonly [string, () => Promise<Node>, string][] = [
    [
      'accepts the connection and sends nothing',
      () => rawServer(() => undefined),
      'The node did not answer within 1000 ms.',
    ],
    [
      'closes the connection immediately',
      () => rawServer((socket) => socket.end()),
      'The connection to the node was lost.',
    ],
    [
      'sends an error for too many connections in place of a greeting',
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
      'accepts the login and hangs',
      () => scriptedNode(() => undefined),
      'The node did not answer within 1000 ms.',
    ],
    [
      'hangs during the list',
      () =>
        scriptedNode((sql, connection) => {
          if (sql !== 'SHOW PROCESSLIST') ordinary()(sql, connection);
        }),
      'The node did not answer within 1000 ms.',
    ],
    [
      'does not show our own connection',
      () =>
        scriptedNode((sql, connection) => {
          if (sql === 'SHOW PROCESSLIST') connection.writeTextResult([client(1)], columns(COLUMNS));
          else ordinary()(sql, connection);
        }),
      "The node's process list does not show the control connection that reads it, so its ids cannot be trusted. A proxy stands in between, the node is shutting down, or performance_schema_show_processlist is on while the performance schema is off.",
    ],
    ...[
      { what: 'belongs to another account', User: 'app' },
      { what: 'runs another statement', Info: 'SELECT 1' },
    ].map(({ what, ...changes }): [string, () => Promise<Node>, string] => [
      `shows our id on a session that ${what}`,
      () =>
        scriptedNode((sql, connection) => {
          const row = { ...own(), ...changes };
          if (sql === 'SHOW PROCESSLIST') connection.writeTextResult([row], columns(COLUMNS));
          else ordinary()(sql, connection);
        }),
      "The node's process list does not show the control connection that reads it, so its ids cannot be trusted. A proxy stands in between, the node is shutting down, or performance_schema_show_processlist is on while the performance schema is off.",
    ]),
    [
      'has renamed a column',
      () =>
        scriptedNode((sql, connection) => {
          const renamed = COLUMNS.map((name) => (name === 'Host' ? 'Client' : name));
          if (sql === 'SHOW PROCESSLIST') connection.writeTextResult([own()], columns(renamed));
          else ordinary()(sql, connection);
        }),
      'The node returned a process list that cannot be read.',
    ],
    [
      'reports the version of another product',
      () => scriptedNode(ordinary(undefined, { version: 'PostgreSQL' })),
      'The node does not answer as MySQL, MariaDB or TiDB do.',
    ],
    [
      'lacks a standard function',
      () =>
        scriptedNode((sql, connection) => {
          if (/^SELECT .*VERSION/.test(sql)) connection.writeError({ code: 1305, message: '' });
          else ordinary()(sql, connection);
        }),
      'The node answered with error 1305.',
    ],
    [
      'is another server than configured',
      async () => ({ ...(await scriptedNode(ordinary())), serverUuid: 'b' }),
      NOT_PINNED,
    ],
    [
      'is another server than its server_identity names',
      async () => ({ ...(await scriptedNode(ordinary())), serverIdentity: 'b:3306:1' }),
      NOT_PINNED,
    ],
    ...[
      ['PROCESS ON *.*', 'GRANT CONNECTION_ADMIN ON *.* TO `a`@`%`', MYSQL],
      ['PROCESS ON *.*', 'GRANT PROCESS ON `shop`.* TO `a`@`%`', MYSQL],
      ['CONNECTION_ADMIN ON *.*', 'GRANT PROCESS, RELOAD ON *.* TO `a`@`%`', MYSQL],
      ['SUPER ON *.*', 'GRANT PROCESS ON *.* TO `a`@`%`', '5.7.44'],
      ['CONNECTION ADMIN ON *.*', 'GRANT PROCESS, SUPER ON *.* TO `a`@`%`', '11.8.9-MariaDB'],
      ['CONNECTION_ADMIN ON *.*', 'GRANT PROCESS ON *.* TO `a`@`%`', TIDB],
    ].map(([lacking, grants, version]): [string, () => Promise<Node>, string] => [
      `shows ${String(grants)} on ${String(version)}`,
      () => scriptedNode(ordinary(undefined, { version, grants })),
      `The control account lacks a privilege on the node: GRANT ${String(lacking)}, or make the role that has it a default role.`,
    ]),
    [
      'offers no TLS and is not on loopback',
      async () => ({ ...(await scriptedNode(ordinary())), tls: { ca: '', serverName: undefined } }),
      'The node offers no TLS. Without TLS the service sends the password of the control account over the loopback interface only, and only if the configuration does not ask for TLS. Give the node TLS.',
    ],
  ];

  it.each(cases)('is unavailable if it %s', async (_what, start, message) => {
    await expect(use(await start())).rejects.toMatchObject({ code: 'node_unavailable', message });
  });
});

/** Kills sessions 1 and 2 on a scripted server. Returns the statements that the server received, and the outcomes. */
async function killBoth(
  onKill: Script,
  options: {
    readonly version?: string;
    readonly grants?: string;
    readonly killWith?: Node['killWith'];
    readonly statement?: RunningStatement;
  } = {},
): Promise<{ heard: string[]; outcomes: string[]; troubles: (string | undefined)[] }> {
  const { version = MYSQL, killWith = 'kill', statement } = options;
  const heard: string[] = [];
  const { grants = killWith === 'kill' ? GRANTS : 'GRANT PROCESS, EXECUTE ON *.* TO `a`@`%`' } =
    options;
  const hears: Script = (sql, connection) => {
    heard.push(sql);
    onKill(sql, connection);
  };
  const node = { ...(await scriptedNode(ordinary(hears, { version, grants }))), killWith };
  const ended = await new MysqlNodes().withConnection(node, Infinity, async (connection) => {
    await connection.list(Infinity);
    const results: KillResult[] = [];
    for (const id of ['1', '2']) {
      const row = { id, user: '', host: '', db: '', command: '', time: '', state: '', info: '' };
      const limits = { sendBy: Infinity, deadline: Infinity };
      results.push(await connection.kill(sessionOf(row), limits, statement));
    }
    return results;
  });
  return {
    heard,
    outcomes: ended.map(({ outcome }) => outcome),
    troubles: ended.map(({ trouble }) => trouble?.message),
  };
}

describe('the version that a probe reports', () => {
  it.each([
    ['8.4.0', 'mysql', '8.4'],
    ['5.7.44-log', 'mysql', '5.7'],
    ['11.8.9-MariaDB-ubu2404', 'mariadb', '11.8'],
    ['8.0.11-TiDB-v8.5.0', 'tidb', '8.5'],
    ['8.0.11-TiDB-v8.5.10-serverless', 'tidb', '8.5'],
    ['5.7.25-TiDB-v7.1.0-alpha-123-gabc', 'tidb', '7.1'],
    ['8.0.11-TiDB-v9.0.0-beta.2.pre-1-gabc-dirty', 'tidb', '9.0'],
    ['8.0.11-TiDB-None', 'tidb', 'unknown'],
  ])('is read from %s as %s %s', async (version, flavour, reported) => {
    const node = await scriptedNode(ordinary(askedByProbe, { version }));
    const { server } = await new MysqlNodes().probe(node, Infinity);
    expect(server).toMatchObject({ flavour, version: reported });
  });

  const askedByProbe: Script = (sql, connection) => {
    if (sql === 'SELECT CURRENT_USER()') connection.writeTextResult([{ a: 'a@%' }], columns(['a']));
    else connection.writeError({ code: 1142, message: 'as scripted' });
  };
});

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
    ['names an unknown id: 1094', error(1094), ['not_found', 'killed']],
    ['is denied: 1095', error(1095), ['refused', 'killed']],
    ['is forbidden: 1227', error(1227), ['refused', 'killed']],
    ['meets the end of our own connection: 1317', error(1317), ['unknown', 'not_sent']],
    ["meets MariaDB's statement timeout: 1969", error(1969), ['unknown', 'not_sent']],
    ['meets a shutdown: 1053', error(1053), ['unknown', 'not_sent']],
    ['gets no answer', () => undefined, ['unknown', 'not_sent']],
    [
      'loses the connection',
      (_sql, connection) => {
        (connection as unknown as { stream: Socket }).stream.destroy();
      },
      ['unknown', 'not_sent'],
    ],
  ])('that %s has the right outcome', async (_what, onKill, expected) => {
    const { heard, outcomes } = await killBoth(onKill);

    expect(outcomes).toEqual(expected);
    const sent = expected.filter((outcome) => outcome !== 'not_sent').length;
    expect(heard).toEqual(['KILL CONNECTION 1', 'KILL CONNECTION 2'].slice(0, sent));
  });

  describe('that is denied', () => {
    const GRANT_SYSTEM_USER =
      /^The node protects a session whose account has SYSTEM_USER, .* GRANT SYSTEM_USER ON \*\.\* TO/;
    const BY_THE_NODE = /^The node protects a session itself \(error 1095\)/;
    const everything = GRANTS.replace(' ON', ', SYSTEM_USER, SUPER, CONNECTION ADMIN ON');
    it.each<[string, string, number, RegExp]>([
      [MYSQL, GRANTS, 1095, GRANT_SYSTEM_USER],
      [MYSQL, everything, 1095, BY_THE_NODE],
      ['5.7.44', everything, 1095, BY_THE_NODE],
      [TIDB, GRANTS, 1227, /^The control account lacks a privilege on the node\.$/],
    ])('on %s with %s and error %d names the reason', async (version, grants, code, reason) => {
      const { outcomes, troubles } = await killBoth(error(code), { version, grants });
      expect(outcomes).toEqual(['refused', 'killed']);
      expect(troubles[0]).toMatch(reason);
    });

    it('names the reason of many refusals after one read of the grants', async () => {
      const rows = Array.from({ length: 100 }, (_, index) => client(100 + index));
      let reads = 0;
      const onEach = (sql: string): void => {
        if (sql === 'SHOW GRANTS') reads += 1;
      };
      const denies: Script = (sql, connection) => {
        if (/[02468]$/.test(sql)) connection.writeError({ code: 1095, message: 'as scripted' });
        else connection.writeOk();
      };
      const told: [bigint, string, string | undefined][] = [];
      const place = await scriptedNode(ordinary(denies, { rows, onEach }));
      const kill = new MysqlNodes().withConnection(place, Infinity, async (connection) => {
        const listed = (await connection.list(Infinity)).rows.filter(({ user }) => user === 'app');
        const sessions = listed.map((row) => sessionOf({ ...row, id: row.id ?? '' }));
        reads = 0;
        const limits = { sendBy: Infinity, deadline: Infinity };
        return connection.killAhead(sessions, limits, ({ id }, { outcome, trouble }) =>
          told.push([id, outcome, trouble?.message]),
        );
      });
      expect(await kill).toEqual([]);
      expect(reads).toBe(1);
      const reason = expect.stringMatching(GRANT_SYSTEM_USER) as unknown;
      const expected = rows.map(({ Id }) =>
        Number(Id) % 2 === 0
          ? [BigInt(Id ?? 0), 'refused', reason]
          : [BigInt(Id ?? 0), 'killed', undefined],
      );
      expect(told).toEqual(expected);
    });

    it('names both possible reasons if the grants cannot be read again', async () => {
      let reads = 0;
      const place = await scriptedNode((sql, connection) => {
        if (sql === 'SHOW GRANTS' && (reads += 1) > 1) return;
        ordinary(error(1095))(sql, connection);
      });
      const kill = new MysqlNodes().withConnection(place, Infinity, async (connection) => {
        const [, row] = (await connection.list(Infinity)).rows;
        const limits = { sendBy: Infinity, deadline: Infinity };
        return connection.kill(sessionOf({ ...row, id: '1' } as ListedRow), limits);
      });
      expect(await kill).toMatchObject({
        outcome: 'refused',
        trouble: {
          message: expect.stringMatching(/protected, or a privilege is missing/) as unknown,
        },
      });
    });
  });

  it('by a missing procedure names the procedure in its error', async () => {
    const { outcomes, troubles } = await killBoth(
      (_sql, connection) => {
        connection.writeError({ code: 1305, message: 'as scripted' });
      },
      { killWith: 'rds_kill' },
    );
    expect(outcomes).toEqual(['refused', 'refused']);
    expect(troubles[0]).toBe(
      'The node has no procedure mysql.rds_kill, which the configuration asks for.',
    );
  });

  it('on TiDB contains TIDB, and is refused if its OK has a warning', async () => {
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

  it('on TiDB reaches the same incarnation although the clock of the service is stepped', async () => {
    const node = await scriptedNode(ordinary(undefined, { version: TIDB }));
    const start = (): Promise<number> =>
      new MysqlNodes().withConnection(node, Infinity, ({ incarnation }) =>
        Promise.resolve(incarnation.startedAt),
      );
    const before = await start();
    const now = Date.now.bind(Date);
    const stepped = jest.spyOn(Date, 'now').mockImplementation(() => now() - 7_200_000);
    const after = await start().finally(() => {
      stepped.mockRestore();
    });
    expect(Math.abs(after - before)).toBeLessThanOrEqual(1);
  });

  it('calls the procedure of RDS if the registry says so', async () => {
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

  it.each<[string, Node['killWith'], Partial<RunningStatement>, string]>([
    [MYSQL, 'kill', {}, 'KILL QUERY 1'],
    [MARIADB, 'kill', { isKilledById: true }, 'KILL QUERY ID 5'],
    [TIDB, 'kill', { id: undefined }, 'KILL TIDB QUERY 1'],
    [MYSQL, 'rds_kill', {}, 'CALL mysql.rds_kill_query(1)'],
    [MARIADB, 'rds_kill', {}, 'CALL mysql.rds_kill_query(1)'],
  ])(
    'of a statement on %s with %s and %o has the right SQL',
    async (version, killWith, more, sql) => {
      const numbers = { id: 5n, isClientsId: false, isKilledById: false, isEnding: false };
      const statement = { ...numbers, info: 'SELECT 1', ranMs: 0, ...more };
      const grants = GRANTS.replace(' ON', ', CONNECTION ADMIN, EXECUTE ON');
      let answers = 0;
      const okOnce: Script = (_sql, connection) => {
        answers += 1;
        if (answers === 1) connection.writeOk();
        else connection.writeError({ code: 1957, message: 'as scripted' });
      };
      const { heard, outcomes } = await killBoth(okOnce, { version, killWith, statement, grants });
      expect(heard[0]).toBe(sql);
      expect(outcomes).toEqual(['killed', 'not_found']);
    },
  );

  it('of a statement by a missing procedure names the procedure in its error', async () => {
    const numbers = { id: 5n, isClientsId: true, isKilledById: false, isEnding: false };
    const statement = { ...numbers, info: 'SELECT 1', ranMs: 0 };
    const missing: Script = (_sql, connection) => {
      connection.writeError({ code: 1305, message: 'as scripted' });
    };
    const { troubles } = await killBoth(missing, { killWith: 'rds_kill', statement });
    expect(troubles[0]).toBe(
      'The node has no procedure mysql.rds_kill_query, which the configuration asks for.',
    );
  });

  it.each<[string, Partial<Node>, (id: number) => string]>([
    [TIDB, {}, (id) => `KILL TIDB CONNECTION ${id}`],
    [MYSQL, { killWith: 'rds_kill' }, (id) => `CALL mysql.rds_kill(${id})`],
  ])(
    'of a batch waits for the answer to the previous one on %s with %o',
    async (version, more, sql) => {
      const ids = [1, 2, 3, 4];
      const grants = GRANTS.replace(' ON', ', EXECUTE ON');
      const [heard, told]: [string[], [bigint, string][]] = [[], []];
      const script: Script = (asked, connection) => {
        heard.push(asked);
        if (asked === sql(2)) connection.writeError({ code: 1227, message: 'as scripted' });
        else if (asked !== sql(3)) connection.writeOk();
      };
      const rows = ids.map(client);
      const node = {
        ...(await scriptedNode(ordinary(script, { version, grants, rows }))),
        ...more,
      };
      await new MysqlNodes().withConnection(node, Infinity, async (connection) => {
        const listed = (await connection.list(Infinity)).rows.filter(({ user }) => user === 'app');
        const sessions = listed.map((row) => sessionOf({ ...row, id: row.id ?? '' }));
        const unsent = await connection.killAhead(
          sessions,
          { sendBy: Infinity, deadline: Infinity },
          ({ id }, { outcome }) => told.push([id, outcome]),
        );
        expect(unsent.map(({ id }) => id)).toEqual([4n]);
      });
      expect(heard).toEqual([1, 2, 3].map(sql));
      expect(told).toEqual([
        [1n, 'killed'],
        [2n, 'refused'],
        [3n, 'unknown'],
      ]);
    },
  );

  it('is not sent to a node that refuses the login, and the connection is closed', async () => {
    let open = 0;
    const node = await rawServer((socket) => {
      open += 1;
      socket.on('close', () => (open -= 1));
      // The node keeps the connection open after its refusal.
      socket.write(Buffer.from('17000000ff1004546f6f206d616e7920636f6e6e656374696f6e73', 'hex'));
    });
    await expect(use(node)).rejects.toMatchObject({ code: 'node_unavailable' });
    await until('the socket is closed', () => open === 0);
  });

  it('to a silent node leaves no connection behind', async () => {
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

  it('that waits in the queue beyond the age of its list is sent after a new list', async () => {
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
      const rules = { internalUsers: [], requireClientPort: true };
      const selector = new SessionSelector(rules, () => undefined);
      const now = () => performance.now();
      const sessions = await SessionSnapshot.read(connection, { node, selector, now }, Infinity);
      const [first, second] = [sessions.get(1n), sessions.get(2n)];
      if (first === undefined || second === undefined) throw new Error('They are not listed');
      const before = heard.length;
      const ended = [sessions.kill(first, Infinity), sessions.kill(second, Infinity)];
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

describe('a probe of a node', () => {
  it('uses its own connection while requests share a slow one', async () => {
    const late = (answer: () => void, connection: Parameters<Script>[1]): void => {
      setTimeout(() => {
        connection.sequenceId = 1;
        answer();
        connection.sequenceId = 0;
      }, 200);
    };
    const over: unknown[] = [];
    const script = ordinary((sql, connection) => {
      if (sql === 'DO 0') {
        late(() => {
          connection.writeOk();
        }, connection);
      } else connection.writeOk();
    });
    const node = await scriptedNode((sql, connection) => {
      if (sql !== 'SHOW PROCESSLIST') script(sql, connection);
      else {
        over.push(connection);
        late(() => {
          connection.writeTextResult([own()], columns(COLUMNS));
        }, connection);
      }
    });
    const nodes = new MysqlNodes();
    await nodes.warm([node]);
    const listed = nodes.withConnection(node, Infinity, (connection) => connection.list(Infinity));
    await until('the list is being read', () => over.length === 1);
    await nodes.probe(node, Infinity);
    await listed;
    await nodes.withConnection(node, Infinity, (connection) => connection.list(Infinity));
    // The probe reads its own list over its own connection.
    expect([over.length, new Set(over).size, over[0] === over[2]]).toEqual([3, 2, true]);
    nodes.close();
  });
});
