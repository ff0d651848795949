import { isIPv6 } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  countCutHosts,
  internalReason,
  userSessions,
  type ClientFilter,
} from '../../src/domain/client-filter.ts';
import { sessionOf, type ProcessListRow, type Session } from '../../src/domain/session.ts';
import type { UserSessions } from '../../src/domain/user-sessions.ts';
import { client, printed, PROCESS_LIST_ROWS } from './process-list-rows.ts';

const STRICT: ClientFilter = {
  ownIds: new Set([4n]),
  controlAccount: 'session_control',
  internalUsers: [],
  requireClientPort: true,
};

function allOf({ ascending }: UserSessions): Session[] {
  return ascending.map(sessionOf);
}

function idsOf(sessions: UserSessions): bigint[] {
  return allOf(sessions).map(({ id }) => id);
}

describe('the client filter', () => {
  const cases = PROCESS_LIST_ROWS.map(({ shows, source, row, filter, is }) => ({
    name:
      is === 'user session'
        ? `counts ${shows} as a user session (${source})`
        : `excludes ${shows}: ${is} (${source})`,
    row,
    filter: { ...STRICT, ...filter },
    is,
  }));

  it.each(cases)('$name', ({ row, filter, is }) => {
    expect(internalReason(row, filter) ?? 'user session').toBe(is);
    expect(allOf(userSessions([row], filter))).toStrictEqual(
      is === 'user session' ? [shown(row)] : [],
    );
  });

  it('has a case for each row only once', () => {
    const names = cases.map(({ name }) => name);
    expect(names).toStrictEqual([...new Set(names)]);
  });
});

describe('the user sessions of a process list', () => {
  it('are the clients with their exact ids, in order of id', () => {
    const list = [
      '| 5 | event_scheduler | localhost | NULL | Daemon | 1 | Waiting on empty queue | NULL |',
      '| 11 | app | localhost | d | Connect | 3 | User sleep | do sleep(20) |',
      '| 5857102839209263511 | app | ::1:59448 | d | Sleep | 3 | | NULL |',
      '| 16 | repl | 127.0.0.1:37176 | NULL | Binlog Dump GTID | 3 | Source has sent all | NULL |',
      '| 4 | session_control | 127.0.0.1:37188 | NULL | Query | 0 | init | show processlist |',
      '| 27 | root | 127.0.0.1:37190 | NULL | Query | 0 | init | select 1 |',
    ].map(printed);
    expect(idsOf(userSessions(list, STRICT))).toStrictEqual([27n, 5857102839209263511n]);
  });

  it.each([
    ['nearly in order', (id: number) => id ^ 3],
    ['from the last to the first', (id: number) => 5000 - id],
    ['in no order', (id: number) => ((id * 2663) % 4999) + 10],
  ])('are sorted by id if the node lists them %s', (_how, idAt) => {
    const ids = Array.from({ length: 4000 }, (_, index) => idAt(index + 8));
    const found = idsOf(
      userSessions(
        ids.map((id) => client({ id: String(id) })),
        STRICT,
      ),
    );
    expect(found).toStrictEqual(ids.sort((one, other) => one - other).map(BigInt));
  });

  it('are none for an empty list', () => {
    expect(allOf(userSessions([], STRICT))).toEqual([]);
  });

  it('are found beside rows without a readable id', () => {
    const unreadable = [null, '', '-8', '8x', 'NULL', '100000000000000000000'];
    const rows = [...unreadable.map((id) => client({ id })), client(), client({ id: null })];
    expect(idsOf(userSessions(rows, STRICT))).toStrictEqual([8n]);
  });

  const internal = client({ user: 'system user', host: '' });
  const other = client({ host: '10.0.0.6:40000' });
  it.each([
    { twice: 'by two clients', rows: [client(), other] },
    { twice: 'by two clients, the other way round', rows: [other, client()] },
    { twice: 'by the same row', rows: [client(), client()] },
    { twice: 'first by a client, then by an internal thread', rows: [client(), internal] },
    { twice: 'first by an internal thread, then by a client', rows: [internal, client()] },
    { twice: 'by our own connection as well', rows: [client({ user: 'session_control' }), other] },
    { twice: 'once with a leading zero', rows: [client({ id: '08' }), client()] },
    { twice: 'the second time with a leading zero', rows: [client(), client({ id: '08' })] },
    { twice: 'three times', rows: [client(), other, client()] },
    { twice: 'four times', rows: [client(), other, client(), other] },
  ])('exclude an id that is listed twice, $twice', ({ rows }) => {
    const bystander = client({ id: '9' });
    expect(idsOf(userSessions([...rows, bystander], STRICT))).toStrictEqual([9n]);
    expect(idsOf(userSessions([bystander, ...rows], STRICT))).toStrictEqual([9n]);
  });

  it('have separate ids that are equal as a double', () => {
    const rows = ['9007199254740992', '9007199254740993'].map((id) => client({ id }));
    expect(idsOf(userSessions(rows, STRICT))).toStrictEqual([9007199254740992n, 9007199254740993n]);
  });

  it.each(['-5', '1.5', 'soon'])('have a time of 0 seconds if the list shows %s', (time) => {
    expect(userSessions([client({ time })], STRICT).get(8n)?.time).toBe(0n);
  });
});

describe('hosts that are cut off', () => {
  it('are counted if only the host makes a client internal', () => {
    const host = `${'h'.repeat(58)}:`;
    const thread = { name: 'thread/sql/one_connection', connectionType: 'TCP/IP' };
    const rows = [
      client({ host }),
      client({ id: '9', host: 'h'.repeat(63) }),
      client({ id: '10', host, thread }),
      client({ id: '11', host, user: 'system user' }),
      client({ id: '12', host, command: 'Connect' }),
      client({ id: '4', host }),
      client({ id: '13', host: '%' }),
      client({ id: '14' }),
    ];
    expect(countCutHosts(rows, STRICT)).toBe(2);
  });
});

describe('an arbitrary row', () => {
  it('that counts as a user session is provably a client', () => {
    fc.assert(
      fc.property(anyRow(), anyFilter(), (row, filter) => {
        if (internalReason(row, filter) === undefined) expectProvableClient(row, filter);
      }),
      { numRuns: 5_000 },
    );
  });

  it('counts alone as it does in a list of distinct ids', () => {
    fc.assert(
      fc.property(fc.array(anyRow()), anyFilter(), (rows, filter) => {
        const sessions = userSessions(rows, filter);
        for (const id of idsOf(sessions)) {
          const [row, ...others] = rows.filter(
            (each) => isNumber(each.id) && BigInt(each.id) === id,
          );
          expect(others).toStrictEqual([]);
          expect(row && internalReason(row, filter)).toBeUndefined();
          expect(sessions.get(id)).toStrictEqual(row && shown(row));
        }
        const ids = idsOf(sessions);
        const listed = rows.flatMap(({ id }) => (isNumber(id) ? [BigInt(id)] : []));
        for (const id of listed)
          expect(sessions.get(id)?.id).toBe(ids.find((found) => found === id));
        const expected = rows.filter((row) => internalReason(row, filter) === undefined);
        const isListedOnce = (row: ProcessListRow) =>
          rows.filter(({ id }) => isNumber(id) && BigInt(id) === BigInt(row.id ?? 0)).length === 1;
        expect(sessions.ascending).toHaveLength(expected.filter(isListedOnce).length);
      }),
      { numRuns: 2_000 },
    );
  });
});

function shown(row: ProcessListRow): Session {
  return {
    id: BigInt(row.id ?? 0),
    user: row.user ?? '',
    host: row.host ?? '',
    db: row.db ?? '',
    command: row.command ?? '',
    time: isNumber(row.time) ? BigInt(row.time) : 0n,
    state: row.state ?? '',
    info: row.info ?? '',
  };
}

function isNumber(text: string | null): text is string {
  return text !== null && /^[0-9]+$/.test(text);
}

/** Checks the promises of the filter independently of its code. */
function expectProvableClient(row: ProcessListRow, filter: ClientFilter): void {
  expect(row.id).toMatch(/^[1-9][0-9]*$/);
  expect(filter.ownIds.has(BigInt(row.id ?? 0))).toBe(false);
  expect(filter.knownInternal?.has(row.id ?? '')).not.toBe(true);
  const namesThatAreNotClients = [
    ...NAMES.internal,
    ...filter.internalUsers,
    filter.controlAccount,
  ];
  expect(row.user).toBeTruthy();
  expect(namesThatAreNotClients.map((name) => name.toLowerCase())).not.toContain(
    row.user?.toLowerCase(),
  );
  if (row.command !== 'Sleep') expect(row.state ?? '').not.toMatch(/ has read all relay log; /i);
  expect(row.command).toBeTruthy();
  expect(row.command).not.toMatch(/^(binlog dump|slave|replica|register |group replication)/i);
  expect(row.command).not.toMatch(
    /^(daemon|connect|connect out|table dump|delayed insert|clone)$/i,
  );
  if (row.host === 'localhost' && !filter.requireClientPort) return;
  const [, address, port] = /^([^]+):([1-9][0-9]{0,4})$/.exec(row.host ?? '') ?? [];
  expect(Number(port)).toBeLessThanOrEqual(65535);
  expect(isIPv6(row.host ?? '')).toBe(false);
  expect(address?.includes(':') === true && !isIPv6(address)).toBe(false);
}

const NAMES = {
  internal: ['system user', 'event_scheduler', 'mysql.sys', 'rdsadmin', 'replicator', 'ociadmin'],
  ordinary: ['app', 'root', 'backup'],
};

/** A row whose columns are often usual values, sometimes NULL, and sometimes any text. */
function anyRow(): fc.Arbitrary<ProcessListRow> {
  const column = (...usual: fc.Arbitrary<string>[]) =>
    fc.oneof(
      { weight: 8, arbitrary: fc.oneof(...usual) },
      { weight: 1, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
    );
  const number = (max: bigint) => fc.bigInt({ min: -1n, max }).map(String);
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.domain(),
    fc.constantFrom('%', '', 'localhost'),
  );
  const endpoint = fc.tuple(address, number(70_000n)).map((parts) => parts.join(':'));
  return fc.record({
    id: column(number(12n), number(2n ** 65n), fc.constantFrom('08', '1e3')),
    user: column(fc.constantFrom(...NAMES.internal, ...NAMES.ordinary, 'Session_Control', '')),
    host: column(endpoint, address),
    db: column(fc.string()),
    command: column(
      fc.constantFrom('Sleep', 'Query', 'Execute', 'Killed', 'Daemon', 'Connect', 'clone'),
      fc.constantFrom('Binlog Dump GTID', 'Slave_SQL', 'Register Replica', 'Delayed insert'),
    ),
    time: column(number(1_000_000n)),
    state: column(
      fc.string(),
      fc.constantFrom('Slave has read all relay log; waiting for more updates', 'User sleep'),
    ),
    info: column(fc.string()),
  });
}

function anyFilter(): fc.Arbitrary<ClientFilter> {
  return fc.record({
    ownIds: fc.array(fc.bigInt({ min: 1n, max: 12n }), { maxLength: 3 }).map((ids) => new Set(ids)),
    controlAccount: fc.constantFrom('session_control', 'ROOT'),
    internalUsers: fc.subarray(['Backup', 'monitor']),
    requireClientPort: fc.boolean(),
    knownInternal: fc
      .array(fc.bigInt({ min: 1n, max: 12n }), { maxLength: 4 })
      .map((ids) => new Set(ids.map(String))),
  });
}
