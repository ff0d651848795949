import { describe, expect, it } from '@jest/globals';
import { InternalThreadHistory } from '../../src/domain/internal-thread-history.ts';
import type { ProcessListRow } from '../../src/domain/session.ts';
import { client, printed } from './process-list-rows.ts';

const RULES = {
  ownIds: new Set([4n]),
  controlAccount: 'session_control',
  internalUsers: ['batch'],
  requireClientPort: true,
};
const SOCKETS_TOO = { ...RULES, requireClientPort: false };
const RUN = { server: 'one', startedAt: 1000, run: 1, begunBy: 0, seenAt: 0 };

/** Reads each row in its own list, all with one id. Returns true if the last row is a user session. */
function isSession(rows: readonly ProcessListRow[], rules: typeof RULES): boolean {
  const known = new InternalThreadHistory();
  const counts = rows.map((row, index) => {
    const list = { rows: [row], askedAt: index };
    return known.select('n', { incarnation: RUN }, list, rules).get(8n) !== undefined;
  });
  return counts.at(-1) === true;
}

const idle = client();
const busy = client({ command: 'Query', state: 'User sleep', info: 'DO SLEEP(9)' });
const socket = client({ host: 'localhost' });
const within = (user: string, host: string): ProcessListRow => ({ ...busy, user, host });

describe('a client', () => {
  it.each<[string, ProcessListRow[], typeof RULES?]>([
    ['a routine of a configured account', [within('batch', '%:51358')]],
    ['a routine of the control account', [within('session_control', '10.0.0.1:51358')]],
    ['a routine of a cloud account', [within('rdsadmin', 'localhost:51358')]],
    ['a routine of the sys schema', [within('mysql.sys', 'localhost:51358')]],
    ['a routine of an account with its own address', [within('batch', '10.0.0.5:51358')]],
    ['a routine of an account named system user', [within('system user', '%:51358')]],
    ['a routine whose definer has no host', [within('someone', '')]],
    ['a routine whose definer has a port', [within('someone', '10.0.0.9:3306:51358')]],
    [
      'two routines, one after the other',
      [within('batch', '%:51358'), within('rdsadmin', '%:51358')],
    ],
    ...[
      ...['# at 157\n#', '-- ', '/* ', '/**/ --\n# '].map((start) =>
        start.padEnd(100, 'server id 1 '),
      ),
      `/* ${'\u8ba2\u5355'.repeat(16)}`,
    ].map((info): [string, ProcessListRow[]] => [
      `a BINLOG that is cut off after ${JSON.stringify(info.slice(0, 8))}`,
      [{ ...busy, state: 'Applying batch of row changes (write)', info }],
    ]),
    [
      'a routine of an account named system user, over X Protocol',
      [
        {
          ...within('system user', '%'),
          thread: { name: 'thread/mysqlx/worker', connectionType: 'SSL/TLS' },
        },
      ],
    ],
    ['a list with its id twice', [busy, { ...busy, id: '08' }]],
    ['a missing command', [client({ command: null })]],
    ['a login', [client({ user: 'unauthenticated user', command: 'Connect' })]],
    ['a slow login', [client({ command: 'Connect', state: 'init' })]],
    [
      'a login from a host that is cut off',
      [client({ host: `${'h'.repeat(58)}:`, command: 'Connect' })],
    ],
    [
      'a login with a thread without a connection type',
      [
        client({
          user: 'unauthenticated user',
          command: 'Query',
          thread: { name: 'thread/sql/one_connection', connectionType: null },
        }),
      ],
    ],
    [
      'a change from an internal account',
      [client({ user: 'batch' }), within('batch', '%:51358'), idle],
    ],
  ])('is a session again after %s', (_what, rows, rules = RULES) => {
    for (const before of [[], [idle], [busy]]) {
      expect(isSession([...before, ...rows, idle], rules)).toBe(true);
      expect(isSession([...before, ...rows, busy], rules)).toBe(true);
    }
  });

  it.each<[string, ProcessListRow[]]>([
    ['a routine of a configured account', [within('batch', '%')]],
    ['a routine of an internal account at localhost', [within('rdsadmin', 'localhost')]],
    ['a routine of system user at localhost', [within('system user', 'localhost')]],
    ['a routine whose definer has the host %', [within('someone', '%')]],
    ['a login', [client({ host: 'localhost', command: 'Connect' })]],
  ])(
    'of the Unix socket with require_client_port: false is a session again after %s',
    (_what, rows) => {
      for (const before of [[], [socket]]) {
        expect(isSession([...before, ...rows, socket], SOCKETS_TOO)).toBe(true);
        expect(isSession([...before, ...rows, { ...socket, command: 'Query' }], SOCKETS_TOO)).toBe(
          true,
        );
      }
    },
  );
});

describe('an internal thread', () => {
  const applier = '| 8 | system user | | NULL | Query | 3 | waiting for handler commit | NULL |';
  const privileged = (state: string): ProcessListRow =>
    printed(`| 8 | priv | 10.0.0.9:3306 | NULL | Query | 3 | ${state} | NULL |`);
  it.each<[string, ProcessListRow]>([
    ['one of our own connections', client({ id: '8', user: 'session_control' })],
    ['the system user', printed(applier)],
    [
      'the system user that connects',
      printed('| 8 | system user | connecting host | NULL | Query | 3 | | NULL |'),
    ],
    ['a thread in a state of replication', privileged('Waiting for an event from Coordinator')],
    [
      'an idle worker in Connect',
      { ...privileged('Waiting for an event from Coordinator'), command: 'Connect' },
    ],
    [
      'an event worker with the endpoint of a client',
      client({
        command: 'Connect',
        thread: { name: 'thread/sql/event_worker', connectionType: null },
      }),
    ],
    [
      'a worker that shows a statement behind a comment',
      {
        ...privileged('Applying batch of row changes (write)'),
        info: '/* a service */ UPDATE t SET a = 1 '.padEnd(100, '# '),
      },
    ],
    [
      'a worker that shows a short comment',
      { ...privileged('Applying batch of row changes (write)'), info: '# at 157' },
    ],
    ['a daemon', client({ command: 'Daemon' })],
    ['a binlog dump', client({ command: 'Binlog Dump GTID' })],
    ["MariaDB's applier", client({ user: 'someone', command: 'Slave_SQL' })],
    ['a replica that registers', client({ command: 'Register Replica' })],
    ['an event worker', client({ host: '%', command: 'Connect' })],
    ['an event worker at localhost', client({ host: 'localhost', command: 'Connect' })],
    [
      'a thread that serves no client',
      client({ thread: { name: 'thread/sql/of_the_server', connectionType: null } }),
    ],
  ])('stays internal if it later looks like a client, after it was %s', (_what, row) => {
    const rules = { ...RULES, ownIds: new Set(row.user === 'session_control' ? [8n] : []) };
    expect(isSession([row, idle], rules)).toBe(false);
    expect(isSession([row, busy], rules)).toBe(false);
    expect(isSession([idle, row, privileged('Opening tables')], rules)).toBe(false);
  });
});

describe('a session of an internal account', () => {
  it.each(['batch', 'BATCH', 'session_control', 'rdsadmin'])(
    'of %s, which only its thread shows, stays internal inside a routine of an ordinary account',
    (loginUser) => {
      const thread = { name: 'thread/sql/one_connection', connectionType: 'TCP/IP', loginUser };
      const row = { ...within('app', '%:51358'), thread };
      expect(isSession([row], RULES)).toBe(false);
      expect(isSession([row, within('app', '%:51358')], RULES)).toBe(false);
      expect(isSession([row, idle, busy], RULES)).toBe(true);
      expect(isSession([{ ...idle, thread }], RULES)).toBe(true);
    },
  );

  it.each(['batch', 'BATCH', 'session_control', 'rdsadmin'])(
    'of %s stays internal inside a routine of an ordinary account',
    (user) => {
      const resting = client({ user });
      for (const host of ['%:51358', 'localhost:51358', '10.0.0.5:51358']) {
        expect(isSession([resting, within('app', host)], RULES)).toBe(false);
        expect(isSession([idle, resting, { ...resting, command: 'Query' }, busy], RULES)).toBe(
          false,
        );
      }
    },
  );
});
