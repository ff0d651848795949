import { beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'lossless-json';
import request from 'supertest';
import type { LockReading } from '../../src/domain/locks.ts';
import { metadataLocks, readingOf, rowWaits, transaction } from '../domain/lock-readings.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey, processesPath } from '../support/ids.ts';
import { createService, TOKEN, type TestService } from '../support/service.ts';

const NODE = processesPath().replace(/\/processes$/, '');
const BLOCKERS = `${NODE}/blockers`;
const LOCK_WAIT = `${NODE}/process/lock-wait`;
const METADATA_WAIT = { command: 'Query', state: 'Waiting for table metadata lock' };
const MISSING = { 'en-us': 'Not shown. GRANT it.', 'zh-cn': '未显示。请授权。' };

let nodes: FakeNodes;
let service: TestService;
beforeEach(() => {
  nodes = new FakeNodes();
  service = createService({
    registry: [fakeNode],
    nodes,
    callers: {
      'token-that-kills': {
        user: 'killer',
        projectId: nodeKey.projectId,
        actions: ['gaussdbformysql:instance:deleteProcesses'],
      },
    },
  });
});

interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly body: unknown;
}

async function get(path: string, headers: Record<string, string> = {}): Promise<Got> {
  const {
    status,
    headers: got,
    text,
  } = await request(service.app)
    .get(path)
    .set({ 'X-Auth-Token': TOKEN, ...headers });
  const body = parse(text, undefined, { parseNumber: (digits) => BigInt(digits) });
  return { status, headers: got, text, body };
}

/** Connects sessions with these ids. */
function connect(...ids: readonly number[]): void {
  for (const id of ids) nodes.connect({ id: id.toString() });
}

function connectInternal(id: number): void {
  nodes.connect({ id: id.toString(), user: 'system user', host: '', command: 'Connect' });
}

function show(parts: Partial<LockReading>): void {
  nodes.lockReading = readingOf(parts);
}

const waits = (): ReturnType<typeof transaction> =>
  transaction({ state: 'LOCK WAIT', waitSeconds: 3n });

describe('GET …/blockers', () => {
  it('has the blockers, the waits and the sources', async () => {
    connect(22, 23);
    nodes.connect({ id: '25', ...METADATA_WAIT, time: '29', info: 'ALTER TABLE t' });
    nodes.connect({ id: '26', command: 'Query', state: 'User lock', time: '7' });
    show({
      rowWaits: rowWaits('23>22'),
      metadataLocks: [
        ...metadataLocks('22:SHARED_WRITE 25?EXCLUSIVE'),
        ...metadataLocks('25:EXCLUSIVE 26?EXCLUSIVE', 'USER LEVEL LOCK', 'job'),
      ],
      transactions: new Map([
        [22n, transaction({ seconds: 312n, rowsLocked: 4n, rowsModified: 3n })],
        [23n, waits()],
      ]),
    });

    const { status, text } = await get(BLOCKERS);

    expect(status).toBe(200);
    const session = {
      user: 'app',
      db: 'shop',
      command: 'Sleep',
      time: 12,
      state: '',
      info: '',
    };
    expect(JSON.parse(text)).toEqual({
      blockers: [
        {
          id: 22,
          host: '10.0.0.4:50022',
          ...session,
          transaction: { state: 'RUNNING', seconds: 312, rows_locked: 4, rows_modified: 3 },
          ...{ is_root: true, waiters: 3, direct_waiters: 2, can_be_killed: true },
        },
        {
          id: 25,
          host: '10.0.0.4:50025',
          ...session,
          ...{ ...METADATA_WAIT, time: 29, info: 'ALTER TABLE t' },
          transaction: null,
          ...{ is_root: false, waiters: 1, direct_waiters: 1, can_be_killed: true },
        },
      ],
      waits: [
        {
          ...{ id: 23, waits_for: 22, kind: 'row', seconds: 3, db: 'shop', table: 't' },
          ...{ index: 'PRIMARY', mode: 'X', data: '1' },
        },
        {
          ...{ id: 25, waits_for: 22, kind: 'metadata', seconds: 29, db: 'shop', table: 't' },
          mode: 'EXCLUSIVE',
        },
        { id: 26, waits_for: 25, kind: 'user', seconds: 7, mode: 'EXCLUSIVE', name: 'job' },
      ],
      sources: { row: 'available', metadata: 'available' },
    });
  });

  it('is empty if no session waits', async () => {
    connect(22);
    expect((await get(BLOCKERS)).body).toEqual({
      blockers: [],
      waits: [],
      sources: { row: 'available', metadata: 'available' },
    });
  });

  it('has exact ids beyond those of a double', async () => {
    nodes.connect({ id: '9007199254740993' });
    nodes.connect({ id: '9223372036854775807' });
    show({ rowWaits: rowWaits('9223372036854775807>9007199254740993') });
    const { text } = await get(BLOCKERS);
    expect(text).toMatch(/"blockers":\[\{"id":9007199254740993,/);
    expect(text).toMatch(/"waits":\[\{"id":9223372036854775807,"waits_for":9007199254740993,/);
  });

  it('shows an internal blocker without its fields, and no internal waiter', async () => {
    connect(22, 23);
    connectInternal(7);
    connectInternal(8);
    show({
      // 7 blocks 22, and 23 blocks 8.
      rowWaits: rowWaits('22>7 8>23'),
      transactions: new Map([
        [7n, transaction()],
        [8n, waits()],
        [22n, waits()],
        [23n, transaction()],
      ]),
      threadIds: new Map([[7n, 4711n]]),
    });

    const { body } = await get(BLOCKERS);

    expect(body).toMatchObject({
      blockers: [
        { id: null, is_root: true, waiters: 1n, direct_waiters: 1n, can_be_killed: false },
      ],
      waits: [{ id: 22n, waits_for: null, kind: 'row' }],
    });
    const [blocker] = (body as { blockers: [object] }).blockers;
    expect(Object.keys(blocker)).toEqual([
      'id',
      'is_root',
      'waiters',
      'direct_waiters',
      'can_be_killed',
    ]);
    expect((body as { blockers: object[] }).blockers).toHaveLength(1);
  });

  it('marks a prepared transaction, which has no id and a transaction', async () => {
    connect(23);
    show({
      rowWaits: rowWaits('23>p99'),
      transactions: new Map([[23n, waits()]]),
      prepared: new Map([['99', transaction({ rowsModified: 1n })]]),
    });
    const { body } = await get(BLOCKERS);
    expect(body).toMatchObject({
      blockers: [
        {
          ...{ id: null, prepared: true, can_be_killed: false, is_root: true },
          transaction: { state: 'RUNNING', rows_modified: 1n },
        },
      ],
      waits: [{ id: 23n, waits_for: null }],
    });
  });

  it('marks a blocker that cannot be killed if the node is known to refuse the KILL', async () => {
    connect(21, 22, 23);
    nodes.protected.add(22n);
    show({ rowWaits: rowWaits('23>22 23>21') });
    expect((await get(BLOCKERS)).body).toMatchObject({
      blockers: [
        { id: 21n, can_be_killed: true },
        { id: 22n, can_be_killed: false },
      ],
    });
  });

  it('shows at most 1,000 waits, and marks the truncation', async () => {
    const ids = Array.from({ length: 1001 }, (_, index) => 2000 + index);
    connect(22, ...ids);
    const truncated = async (count: number): Promise<unknown> => {
      const text = ids.slice(0, count).map((id) => `${id}>22`);
      show({ rowWaits: rowWaits(text.join(' ')) });
      const { body } = await get(BLOCKERS);
      const { blockers, waits: rows, ...rest } = body as Record<'blockers' | 'waits', object[]>;
      expect(rows).toHaveLength(1000);
      expect(blockers).toMatchObject([{ id: 22n, waiters: BigInt(count) }]);
      return rest;
    };
    const sources = { row: 'available', metadata: 'available' };
    expect(await truncated(1000)).toEqual({ sources });
    expect(await truncated(1001)).toEqual({ truncated: true, sources });
  });

  it.each([
    ['en-us', 'Not shown. GRANT it.'],
    ['zh-cn', '未显示。请授权。'],
  ])('says in %s why a source is missing', async (language, sentence) => {
    connect(22);
    nodes.connect({ id: '25', ...METADATA_WAIT });
    show({
      transactions: new Map([[22n, waits()]]),
      sources: { row: MISSING, metadata: MISSING },
    });
    expect((await get(BLOCKERS, { 'X-Language': language })).body).toEqual({
      blockers: [],
      waits: [],
      sources: { row: sentence, metadata: sentence },
    });
  });

  it('hides the trouble of a source for which only an internal thread waits', async () => {
    connect(22);
    connectInternal(7);
    nodes.connect({ id: '8', user: 'system user', host: '', ...METADATA_WAIT });
    show({
      transactions: new Map([
        [7n, waits()],
        [22n, transaction()],
      ]),
      sources: { row: MISSING, metadata: MISSING },
    });
    expect((await get(BLOCKERS)).body).toEqual({
      blockers: [],
      waits: [],
      sources: { row: 'available', metadata: 'available' },
    });
  });

  it('omits transactions that the node does not show', async () => {
    connect(22);
    nodes.connect({ id: '25', ...METADATA_WAIT });
    show({
      metadataLocks: metadataLocks('22:SHARED_READ 25?EXCLUSIVE'),
      transactions: undefined,
      sources: { row: MISSING, metadata: 'available' },
    });
    const { text } = await get(BLOCKERS);
    expect(text).not.toContain('transaction');
    expect(JSON.parse(text)).toMatchObject({
      blockers: [{ id: 22 }],
      sources: { row: MISSING['en-us'], metadata: 'available' },
    });
  });
});

describe('GET …/process/lock-wait', () => {
  it('has the lock and the root, not the next blocker', async () => {
    nodes.connect({ id: '22', info: 'SELECT 1', command: 'Query' });
    nodes.connect({ id: '23', info: 'update t set v=21 where id=1', command: 'Query' });
    connect(24);
    show({
      rowWaits: rowWaits('23>24 24>22'),
      transactions: new Map([
        [22n, transaction({ seconds: 41n, rowsModified: 1n })],
        [23n, waits()],
        [24n, waits()],
      ]),
      threadIds: new Map([[22n, 53n]]),
    });
    const { status, text } = await get(`${LOCK_WAIT}?pid=23`);
    expect(status).toBe(200);
    expect(JSON.parse(text)).toEqual({
      abnormal_root_cause: {
        abnormal_type: 'LOCK_WAIT',
        lock_root_cause: {
          locked_pid: 23,
          locked_sql: 'update t set v=21 where id=1',
          wait_seconds: 3,
          lock_db: 'shop',
          lock_table: 't',
          lock_index: 'PRIMARY',
          lock_mode: 'X',
          lock_data: '1',
          blocker_pid: 22,
          blocker_state: 'RUNNING',
          blocker_age: 41,
          blocker_rows_locked: 1,
          blocker_rows_modified: 1,
          blocker_current_sql: ['SELECT 1'],
          blocker_host: '10.0.0.4:50022',
          blocker_command: 'Query',
          blocker_thread_id: 53,
        },
      },
    });
  });

  it('has no index and no data of a metadata lock, and no statement of an idle blocker', async () => {
    connect(22);
    nodes.connect({ id: '25', ...METADATA_WAIT, time: '29', info: 'ALTER TABLE t' });
    show({ metadataLocks: metadataLocks('22:SHARED_READ 25?EXCLUSIVE') });
    expect((await get(`${LOCK_WAIT}?pid=25`)).body).toEqual({
      abnormal_root_cause: {
        abnormal_type: 'LOCK_WAIT',
        lock_root_cause: {
          locked_pid: 25n,
          locked_sql: 'ALTER TABLE t',
          wait_seconds: 29n,
          lock_db: 'shop',
          lock_table: 't',
          lock_index: '',
          lock_mode: 'EXCLUSIVE',
          lock_data: '',
          blocker_pid: 22n,
          blocker_current_sql: [],
          blocker_host: '10.0.0.4:50022',
          blocker_command: 'Sleep',
        },
      },
    });
  });

  it('is an empty object for a session that waits for no lock', async () => {
    connect(22);
    expect((await get(`${LOCK_WAIT}?pid=22`)).text).toBe('{}');
  });

  it('omits each field of a blocker that is an internal thread', async () => {
    connect(23);
    connectInternal(7);
    show({
      rowWaits: rowWaits('23>7'),
      transactions: new Map([
        [7n, transaction()],
        [23n, waits()],
      ]),
      threadIds: new Map([[7n, 4711n]]),
    });
    const { text } = await get(`${LOCK_WAIT}?pid=23`);
    expect(text).toContain('"locked_pid":23');
    expect(text).not.toContain('blocker_');
  });

  it('omits the id of a prepared transaction', async () => {
    connect(23);
    show({
      rowWaits: rowWaits('23>p99'),
      prepared: new Map([['99', transaction({ seconds: 41n })]]),
    });
    const { text } = await get(`${LOCK_WAIT}?pid=23`);
    expect(text).toContain('"blocker_age":41');
    expect(text).not.toContain('blocker_pid');
  });

  it.each([
    ['a transaction', { command: 'Query', state: 'updating', time: '40' }, 3],
    ['the process list', { ...METADATA_WAIT, time: '29' }, 29],
  ])('says that a session waits if only %s shows it', async (_what, session, seconds) => {
    nodes.connect({ id: '23', info: 'UPDATE t', ...session });
    const isInTransaction = session.state === 'updating';
    show({ transactions: new Map(isInTransaction ? [[23n, waits()]] : []) });
    expect(JSON.parse((await get(`${LOCK_WAIT}?pid=23`)).text)).toEqual({
      abnormal_root_cause: {
        abnormal_type: 'LOCK_WAIT',
        lock_root_cause: { locked_pid: 23, locked_sql: 'UPDATE t', wait_seconds: seconds },
      },
    });
  });

  it.each([
    [
      'en-us',
      'Resource not found. The node has no user session with this id. List its sessions again.',
    ],
    ['zh-cn', '资源不存在。节点上没有该ID的用户会话。请重新查询会话列表。'],
  ])(
    'has the same response for an internal thread as for an unknown id, in %s',
    async (language, message) => {
      connect(22);
      connectInternal(7);
      show({ rowWaits: rowWaits('7>22'), transactions: new Map([[7n, waits()]]) });
      const answers = await Promise.all(
        [7, 4711].map((pid) => get(`${LOCK_WAIT}?pid=${pid}`, { 'X-Language': language })),
      );
      for (const { status, body } of answers) {
        expect([status, body]).toEqual([404, { error_code: 'DBS.290013', error_msg: message }]);
      }
    },
  );

  it.each([
    '',
    '?pid',
    '?pid=',
    '?pid=0',
    '?pid=-1',
    '?pid=+1',
    '?pid=%2B1',
    '?pid=01',
    '?pid=1.0',
    '?pid=1e3',
    '?pid=0x1',
    '?pid=%201',
    '?pid=1%0a',
    '?pid=abc',
    '?pid=9223372036854775808',
    '?pid=99999999999999999999999999',
    '?pid=1&pid=1',
    '?pid[]=1',
    '?PID=1',
  ])('refuses the query %s', async (query) => {
    const { status, body } = await get(`${LOCK_WAIT}${query}`);
    expect([status, body]).toEqual([
      400,
      {
        error_code: 'DBS.200001',
        error_msg:
          'Parameter error. pid must be an integer from 1 to 9223372036854775807, given once.',
      },
    ]);
    expect(nodes.connections).toBe(0);
  });

  it('accepts the highest id', async () => {
    expect((await get(`${LOCK_WAIT}?pid=9223372036854775807`)).status).toBe(404);
    nodes.connect({ id: '9223372036854775807' });
    expect((await get(`${LOCK_WAIT}?pid=9223372036854775807`)).text).toBe('{}');
  });
});

describe.each([
  ['blockers', BLOCKERS, ''],
  ['process/lock-wait', LOCK_WAIT, '?pid=22'],
])('GET …/%s', (_name, path, query) => {
  beforeEach(() => {
    connect(22);
  });

  it('refuses an unknown query parameter', async () => {
    const { status, body } = await get(`${path}${query === '' ? '?' : `${query}&`}limit=1`);
    expect([status, body]).toEqual([
      400,
      {
        error_code: 'DBS.200001',
        error_msg: 'Parameter error. The query parameter "limit" is not known.',
      },
    ]);
  });

  it('has HEAD, and no other method', async () => {
    const head = await request(service.app).head(`${path}${query}`).set('X-Auth-Token', TOKEN);
    expect(head.status).toBe(200);
    for (const method of ['post', 'put', 'delete', 'patch'] as const) {
      const res = await request(service.app)[method](`${path}${query}`).set('X-Auth-Token', TOKEN);
      expect([res.status, res.headers['allow']]).toEqual([405, 'GET, HEAD']);
    }
  });

  it('checks the caller, then the path, then the query, then the registry', async () => {
    const status = async (at: string, headers: Record<string, string> = {}): Promise<unknown> => {
      const { status: got, body } = await get(at, headers);
      return [got, (body as { error_code: string }).error_code];
    };
    const wrong = `${path.replace(nodeKey.nodeId, 'x')}?bad=1`;
    const other = path.replace(nodeKey.projectId, '0'.repeat(32));
    expect(await status(wrong, { 'X-Auth-Token': 'none' })).toEqual([401, 'APIGW.0301']);
    expect(await status(`${other}?bad=1`)).toEqual([403, 'DBS.200044']);
    const killer = { 'X-Auth-Token': 'token-that-kills' };
    expect(await status(wrong, killer)).toEqual([403, 'DBS.200010']);
    expect(await status(wrong)).toEqual([400, 'DBS.280404']);
    const unknown = path.replace(nodeKey.instanceId, `${'0'.repeat(32)}in07`);
    expect(await status(`${unknown}?bad=1`)).toEqual([400, 'DBS.200001']);
    expect(await status(`${unknown}${query}`)).toEqual([404, 'DBS.200002']);
    const noNode = path.replace(nodeKey.nodeId, `${'0'.repeat(32)}no07`);
    expect(await status(`${noNode}${query}`)).toEqual([404, 'DBS.290013']);
    expect(nodes.connections).toBe(0);
  });

  it('says that the node cannot be reached', async () => {
    nodes.isReachable = false;
    const { status, body } = await get(`${path}${query}`);
    expect([status, body]).toMatchObject([500, { error_code: 'DBS.200005' }]);
  });
});
