import { appendFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { AuditHistory } from '../../src/audit/audit-history.ts';
import { FileAudit } from '../../src/audit/file-audit.ts';
import { LineFile } from '../../src/audit/line-file.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey, processesPath } from '../support/ids.ts';
import { createService, TOKEN, type Grant } from '../support/service.ts';
import { ACCESS_KEY, sign } from '../support/sign.ts';

const { projectId, instanceId, nodeId } = nodeKey;
const OTHER_PROJECT = 'f'.repeat(32);
const SECOND = '28663926eacb443d98dc20f8620f28f2no07';
const HISTORY = `/v3/${projectId}/instances/${instanceId}/process/kill/history`;

const grant = (user: string, actions: Grant['actions'] = ['*'], project = projectId): Grant => ({
  user,
  actions,
  projectId: project,
});
const callers: Readonly<Record<string, Grant>> = {
  'of-bob': grant('bob'),
  'may-end': grant('x', [
    'gaussdbformysql:instance:deleteProcesses',
    'gaussdbformysql:instance:listProcesses',
  ]),
  'may-get': grant('x', ['gaussdb:instance:list']),
  elsewhere: grant('ops', ['*'], OTHER_PROJECT),
};

let folder: string;
let path: string;
let audit: FileAudit;
const histories: AuditHistory[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'session-control-history-'));
  path = join(folder, 'audit.jsonl');
  audit = new FileAudit(new LineFile(path), 4711, () => undefined);
});
afterEach(async () => {
  await audit.close();
  await Promise.all(histories.splice(0).map((history) => history.close()));
  rmSync(folder, { recursive: true });
});

function start({ isAudited = true } = {}) {
  const nodes = new FakeNodes();
  const history = new AuditHistory(path, () => undefined, { maxReadMs: 3_600_000 });
  histories.push(history);
  const service = createService({
    registry: [fakeNode, { ...fakeNode, nodeId: SECOND }],
    nodes,
    callers,
    accessKeys: [ACCESS_KEY],
    ...(isAudited && { audit, history }),
  });
  const get = (query = '', token = TOKEN, ofPath = HISTORY) =>
    request(service.app).get(`${ofPath}${query}`).set('X-Auth-Token', token);
  const kill = (ids: readonly bigint[], token = TOKEN, node = nodeId, query = '') =>
    request(service.app)
      .delete(`${processesPath({ ...nodeKey, nodeId: node })}${query}`)
      .set({ 'X-Auth-Token': token, 'X-Kill-Reason': 'runaway report' })
      .type('application/json')
      .send(`{"processes":[${ids.join(',')}]}`)
      .expect(200);
  /** The ids in an answer. */
  const ids = async (query = '', token = TOKEN): Promise<number[]> => {
    const body = (await get(query, token).expect(200)).body as object;
    return (body as { killed_sessions: { session_id: number }[] }).killed_sessions.map(
      ({ session_id }) => session_id,
    );
  };
  return { ...service, nodes, get, kill, ids };
}

/** Appends an intent, as a service writes it. */
function recordIntent(id: number, time: number, more: object = {}): void {
  const record = {
    record: 'intent',
    time: new Date(time).toISOString(),
    request_id: `request-${id}`,
    caller: 'ops',
    ...{ project_id: projectId, instance_id: instanceId, node_id: nodeId },
    sessions: [{ id, user: 'app' }],
    ...more,
  };
  appendFileSync(path, `${JSON.stringify(record)}\n`);
}

describe('the history of kills', () => {
  it('has the caller, the session, the time and the outcome of each kill', async () => {
    const { nodes, get, kill } = start();
    const before = Date.now();
    const id = nodes.connect({ state: 'Sending data', info: 'SELECT 1' });
    const res = await kill([id]);
    await audit.close();

    const body = (await get().expect(200)).body as object;

    expect(body).toEqual({
      killed_sessions: [
        {
          ...{ instance_id: instanceId, node_id: nodeId, task_id: null },
          ...{ session_id: Number(id), user: 'app', host: '10.0.0.4:51000', db: 'shop' },
          ...{ command: 'Sleep', time: 12, state: 'Sending data', info: '' },
          kill_time: expect.any(Number) as unknown,
          ...{ killed_source: 'manual', outcome: 'killed', scope: 'session', caller: 'ops' },
          reason: 'runaway report',
          request_id: res.headers['x-request-id'],
        },
      ],
      total_count: 1,
      complete: true,
      replica: true,
    });
    const [{ kill_time }] = (body as { killed_sessions: [{ kill_time: number }] }).killed_sessions;
    expect(kill_time).toBeGreaterThanOrEqual(before);
  });

  it('has the outcome unknown if the audit has none', async () => {
    const { get } = start();
    recordIntent(7, Date.now());
    const body = (await get().expect(200)).body as object;
    expect(body).toMatchObject({ killed_sessions: [{ session_id: 7, outcome: 'unknown' }] });
  });

  it('does not show our own connections', async () => {
    const { ids } = start();
    recordIntent(7, Date.now());
    recordIntent(8, Date.now(), { sessions: [{ id: 8, user: 'app', control_connection: true }] });
    expect(await ids()).toEqual([7]);
  });

  it('is filtered by node, user and caller', async () => {
    const { nodes, kill, ids } = start();
    const [app, batch, other, bob] = [
      nodes.connect(),
      nodes.connect({ user: 'batch' }),
      nodes.connect(),
      nodes.connect(),
    ].map((id) => Number(id)) as [number, number, number, number];
    await kill([BigInt(app), BigInt(batch)]);
    await kill([BigInt(other)], TOKEN, SECOND, '?scope=session');
    await kill([BigInt(bob)], 'of-bob');
    await audit.close();

    expect((await ids()).sort()).toEqual([app, batch, other, bob].sort());
    expect(await ids(`?node_id=${SECOND}`)).toEqual([other]);
    expect(await ids('?user=batch')).toEqual([batch]);
    expect(await ids('?caller=bob')).toEqual([bob]);
    expect(await ids('?caller=bob&user=batch')).toEqual([]);
  });

  it('has pages, the newest kill first, and an empty page past the end', async () => {
    const { get, ids } = start();
    const now = Date.now();
    for (let id = 1; id <= 25; id += 1) recordIntent(id, now - 1000 * (100 - id));
    expect(await ids()).toEqual([25, 24, 23, 22, 21, 20, 19, 18, 17, 16]);
    expect(await ids('?page_num=0&page_size=2')).toEqual([25, 24]);
    expect(await ids('?page_num=1&page_size=2')).toEqual([25, 24]);
    expect(await ids('?page_num=3')).toEqual([5, 4, 3, 2, 1]);
    for (const page of ['4', '99999999999999999999999']) {
      const body = (await get(`?page_num=${page}`).expect(200)).body as object;
      expect(body).toMatchObject({ killed_sessions: [], total_count: 25, complete: true });
    }
  });

  it('has the kills from start_time on and before end_time, and of a day by default', async () => {
    const { ids } = start();
    const now = Date.now();
    const times = [now - 25 * 3_600_000, now - 23 * 3_600_000, now - 5000, now - 4000];
    for (const [index, time] of times.entries()) recordIntent(index, time);
    expect(await ids()).toEqual([3, 2, 1]);
    expect(await ids('?start_time=0')).toEqual([3, 2, 1, 0]);
    expect(await ids(`?start_time=${now - 5000}&end_time=${now - 4000}`)).toEqual([2]);
    expect(await ids(`?end_time=${now - 5000}`)).toEqual([1]);
  });

  it('is read in parts if there are more than 10,000 records', async () => {
    const { get } = start();
    const begin = Date.now() - 60_000;
    for (let request = 0; request < 120; request += 1) {
      const sessions = Array.from({ length: 100 }, (_, index) => ({ id: request * 100 + index }));
      recordIntent(request, begin + request, { sessions });
    }
    interface Page {
      killed_sessions: { session_id: number; kill_time: number }[];
      total_count: number;
      complete: boolean;
      read_from?: number;
    }
    const page = async (end: number, number: number): Promise<Page> =>
      (await get(`?end_time=${end}&page_size=100&page_num=${number}`).expect(200)).body as Page;

    const first = await page(begin + 120, 1);
    const pages = first.total_count / 100;
    const last = await page(begin + 120, pages);
    const oldest = last.killed_sessions.at(-1)?.kill_time ?? 0;
    const rest = await page(oldest + 1, 1);

    expect(first.complete).toBe(false);
    expect(first.total_count).toBeLessThanOrEqual(10_000);
    expect(oldest).toBeGreaterThanOrEqual(first.read_from ?? Infinity);
    expect(rest.complete).toBe(true);
    expect(rest.read_from).toBeUndefined();
    // The sessions of one request have the same time, so they are in both parts.
    expect(rest.killed_sessions.map(({ session_id }) => session_id).sort()).toEqual(
      last.killed_sessions.map(({ session_id }) => session_id).sort(),
    );
    expect(first.total_count + rest.total_count - 100).toBe(12_000);
  });

  it('has a clear error for a wrong query, in both languages', async () => {
    const { get } = start();
    const wrong: readonly [query: string, code: string, en: string, zh: string][] = [
      ['start_time=yesterday', '200001', 'milliseconds since 1970', '毫秒数'],
      ['start_time=-1', '200001', 'milliseconds since 1970', '毫秒数'],
      ['end_time=1.5', '200001', 'milliseconds since 1970', '毫秒数'],
      ['end_time=', '200001', 'milliseconds since 1970', '毫秒数'],
      ['start_time=5&end_time=5', '200001', 'earlier than end_time', '早于end_time'],
      [`start_time=${Date.now() + 60_000}`, '200001', 'earlier than end_time', '早于end_time'],
      ['page_num=-1', '200001', 'page_num must be', 'page_num必须'],
      ['page_size=0', '280439', 'page_size must be', 'page_size必须'],
      ['page_size=101', '280439', 'page_size must be', 'page_size必须'],
      ['node_id=x', '280404', 'node_id must be', 'node_id必须'],
      ['user=', '200001', 'user must be', 'user必须'],
      ['caller=a&caller=b', '200001', 'caller must be', 'caller必须'],
      ['limit=1', '200001', '"limit" is not known', '"limit"'],
    ];
    for (const [query, code, en, zh] of wrong) {
      for (const [language, part] of [
        ['en-us', en],
        ['zh-cn', zh],
      ]) {
        const res = await get(`?${query}`).set('X-Language', language ?? '');
        expect([query, res.status, res.body]).toEqual([
          query,
          400,
          {
            error_code: `DBS.${code}`,
            error_msg: expect.stringContaining(part ?? '') as unknown,
          },
        ]);
      }
    }
  });

  it('is not found without an audit, and the message says why', async () => {
    const { get } = start({ isAudited: false });
    const body = (await get().expect(404)).body as object;
    expect(body).toEqual({
      error_code: 'DBS.290013',
      error_msg:
        'Resource not found. The service records no kills: its operator can set audit.file.',
    });
    expect((await get().set('X-Language', 'zh-cn').expect(404)).text).toContain('audit.file');
  });

  it('is empty for an instance without records, even if the registry does not have it', async () => {
    const { get } = start();
    const other = HISTORY.replace(instanceId, `${'0'.repeat(32)}in07`);
    const body = (await get('', TOKEN, other).expect(200)).body as object;
    expect(body).toEqual({ killed_sessions: [], total_count: 0, complete: true, replica: true });
  });

  it('has each kill after its file was renamed, while the service still writes to it', async () => {
    const { nodes, kill, ids } = start();
    const first = nodes.connect();
    await kill([first]);
    renameSync(path, `${path}-20261130`);
    const second = nodes.connect();
    await kill([second]);
    audit.reopen();
    const third = nodes.connect();
    await kill([third]);
    await audit.close();
    expect((await ids()).sort()).toEqual([first, second, third].map(Number).sort());
  });
});

describe('access to the history of kills', () => {
  it('needs the action get', async () => {
    const { get } = start();
    await get('', 'may-get').expect(200);
    const body = (await get('', 'may-end').expect(403)).body as object;
    expect(body).toMatchObject({
      error_code: 'DBS.200010',
      error_msg: expect.stringContaining('gaussdbformysql:instance:get') as unknown,
    });
    await get('', 'nobody').expect(401);
  });

  it('is limited to the project of the caller', async () => {
    const { get } = start();
    recordIntent(7, Date.now());
    expect((await get('', 'elsewhere').expect(403)).body).toMatchObject({
      error_code: 'DBS.200044',
    });
    // An instance can have moved from one project to another.
    const theirs = HISTORY.replace(projectId, OTHER_PROJECT);
    const body = (await get('', 'elsewhere', theirs).expect(200)).body as object;
    expect(body).toMatchObject({ killed_sessions: [], total_count: 0 });
  });

  it('works with a signature', async () => {
    const { app } = start();
    const headers = sign({ method: 'GET', path: HISTORY, query: 'page_size=5' });
    await request(app).get(`${HISTORY}?page_size=5`).set(headers).expect(200);
  });

  it('has the methods GET and HEAD only', async () => {
    const { app, get } = start();
    const token = { 'X-Auth-Token': TOKEN };
    await request(app).head(HISTORY).set(token).expect(200);
    expect((await request(app).delete(HISTORY).set(token).expect(405)).headers['allow']).toBe(
      'GET, HEAD',
    );
    await get('', TOKEN, HISTORY.replace(instanceId, 'x')).expect(400);
  });
});
