import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import request from 'supertest';
import { FileAudit } from '../../src/audit/file-audit.ts';
import { LineFile } from '../../src/audit/line-file.ts';
import { unauthenticated } from '../../src/domain/caller.ts';
import type { KeystoneTokens } from '../../src/identity/keystone-tokens.ts';
import { NO_AUDIT } from '../../src/domain/termination.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey, processesPath } from '../support/ids.ts';
import { until } from '../support/until.ts';
import { createService, TOKEN, type ServiceSettings } from '../support/service.ts';

let folder: string;
let path: string;
let audit: FileAudit;
const troubles: unknown[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'session-control-audit-'));
  path = join(folder, 'audit.jsonl');
  audit = auditAt(path);
});
afterEach(async () => {
  await audit.close();
  rmSync(folder, { recursive: true });
  troubles.length = 0;
});

function auditAt(file: string): FileAudit {
  return new FileAudit(new LineFile(file), 4711, (error) => troubles.push(error));
}

function start(settings: Partial<ServiceSettings> = {}) {
  const nodes = new FakeNodes();
  const service = createService({
    registry: [fakeNode],
    nodes,
    audit,
    callers: {
      reader: {
        user: 'reader',
        projectId: nodeKey.projectId,
        actions: ['gaussdbformysql:instance:listProcesses'],
      },
    },
    ...settings,
  });
  const send = (ids: readonly bigint[], headers: Record<string, string> = {}, query = '') =>
    request(service.app)
      .delete(`${processesPath()}${query}`)
      .set({ 'X-Auth-Token': TOKEN, ...headers })
      .type('application/json')
      .send(`{"processes":[${ids.join(',')}]}`);
  return { ...service, nodes, send };
}

/** Returns the records so far, without the first one, which is `started`. */
async function records(): Promise<Record<string, unknown>[]> {
  await audit.close();
  return recordsNow();
}

function recordsNow(): Record<string, unknown>[] {
  const [started, ...others] = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(started).toEqual({ record: 'started', time: TIME, pid: 4711 });
  return others;
}

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown;
const REQUEST_ID = expect.stringMatching(/^[0-9a-f]{32}$/) as unknown;
const NODE = {
  project_id: nodeKey.projectId,
  instance_id: nodeKey.instanceId,
  node_id: nodeKey.nodeId,
};

describe('the audit', () => {
  it('records every session before the first KILL, and the outcomes afterwards', async () => {
    const { nodes, send } = start();
    const [a, b] = [nodes.connect({ info: 'SELECT secret' }), nodes.connect()];
    const internal = nodes.connect({ user: 'system user', host: null });
    const seenAtKill: unknown[] = [];
    const { kills } = nodes;
    kills.push = (...ids: bigint[]) => {
      seenAtKill.push(recordsNow().length);
      return Array.prototype.push.apply(kills, ids);
    };

    const res = await send([b, 5n, internal, a], { 'X-Kill-Reason': 'runaway report' }).expect(200);

    const session = { user: 'app', db: 'shop', command: 'Sleep', time: 12, state: '' };
    const requestId = res.headers['x-request-id'];
    expect(seenAtKill).toEqual([1, 1]);
    expect(await records()).toEqual([
      {
        record: 'intent',
        time: TIME,
        request_id: requestId,
        caller: 'ops',
        proof: 'token',
        address: '127.0.0.1',
        ...NODE,
        reason: 'runaway report',
        scope: 'session',
        sessions: [
          { id: Number(b), host: '10.0.0.4:51001', ...session },
          { id: Number(a), host: '10.0.0.4:51000', ...session },
        ],
      },
      {
        record: 'outcome',
        time: TIME,
        request_id: requestId,
        ...NODE,
        sessions: [
          { id: Number(b), outcome: 'killed' },
          { id: Number(a), outcome: 'killed' },
        ],
      },
    ]);
    expect(readFileSync(path, 'utf8')).not.toContain('secret');
  });

  it('records the statements only if that is configured', async () => {
    const { nodes, send } = start();
    await send([nodes.connect({ info: 'SELECT first', state: 'Sending data' })]).expect(200);
    await audit.close();
    audit = new FileAudit(new LineFile(path), 4711, () => undefined, undefined, {
      recordsStatements: true,
    });
    const recording = start();
    await recording
      .send([recording.nodes.connect({ info: 'SELECT second', state: 'Sending data' })])
      .expect(200);
    const intents = (await records()).filter(({ record }) => record === 'intent');
    expect(intents).toMatchObject([
      { sessions: [{ state: 'Sending data' }] },
      { sessions: [{ state: 'Sending data', info: 'SELECT second' }] },
    ]);
    expect(readFileSync(path, 'utf8')).not.toContain('first');
  });

  it('records exact ids beyond those of a double', async () => {
    const { nodes, send } = start();
    nodes.connect({ id: '9007199254740993' });
    await send([9_007_199_254_740_993n]).expect(200);
    await audit.close();
    expect(readFileSync(path, 'utf8').match(/"id":9007199254740993\b/g)).toHaveLength(2);
  });

  it('has no record of a request that kills no session', async () => {
    const { nodes, send } = start();
    const id = nodes.connect();
    await send([id], {}, '?dry_run=true').expect(200);
    await send([5n]).expect(200);
    expect(await records()).toEqual([]);
  });

  it('records the old control connection that the service ends after an unanswered KILL', async () => {
    const { nodes, send } = start();
    const id = nodes.connect();
    nodes.faults.set(id, 'lost, and waits in the old connection');
    await send([id]).expect(500);
    const all = await records();
    expect(all.map(({ record }) => record)).toEqual(['intent', 'intent', 'outcome', 'outcome']);
    expect(all[1]).toMatchObject({
      sessions: [{ id: 1001, user: fakeNode.user, control_connection: true }],
    });
    expect(all[2]).toMatchObject({ sessions: [{ id: 1001, outcome: 'killed' }] });
    expect(all[3]).toMatchObject({ sessions: [{ id: Number(id), outcome: 'failed' }] });
  });

  it('records a refused request with its address, and with its caller if there is one', async () => {
    const { send } = start();
    await send([1n], { 'X-Auth-Token': 'wrong' }).expect(401);
    await send([1n], { 'X-Auth-Token': 'reader' }).expect(403);
    const denied = { record: 'denied', time: TIME, request_id: REQUEST_ID };
    const what = { address: '127.0.0.1', method: 'DELETE', path: processesPath() };
    expect(await records()).toEqual([
      { ...denied, ...what, status: 401, error_code: 'APIGW.0301' },
      {
        ...{ ...denied, ...what, caller: 'reader', proof: 'token' },
        ...{ status: 403, error_code: 'DBS.200010' },
      },
    ]);
  });

  it('fails a DELETE with 503 and without a KILL if it cannot be written', async () => {
    await audit.close();
    audit = auditAt('/dev/full');
    const { nodes, send } = start({ audit });
    const id = nodes.connect();
    const res = await send([id]).expect(503);
    expect(res.body).toEqual({
      error_code: 'DBS.200005',
      error_msg: 'Server failure. The audit cannot be written (ENOSPC), so nothing was killed.',
    });
    expect(res.headers['retry-after']).toBe('5');
    expect([nodes.kills, nodes.has(id)]).toEqual([[], true]);
    expect(troubles).toMatchObject([{ code: 'ENOSPC' }]);
    expect(await audit.trouble()).toBe('ENOSPC');
    // A DELETE that kills no session needs no record.
    await send([5n]).expect(200);
  });

  it.each([
    ['after a failed write', true],
    ['at the first write', false],
  ])('fails a DELETE before the request timeout if its file hangs %s', async (_what, isKnown) => {
    const file = new LineFile(path);
    const append = jest.fn(() => new Promise<void>(() => undefined));
    file.append = isKnown ? append.mockRejectedValueOnce(new Error('full')) : append;
    const other = new FileAudit(file, 4711, (error) => troubles.push(error));
    const { nodes, send } = start({ audit: other, requestTimeoutMs: 600_000 });
    if (isKnown) await until('it is in trouble', () => troubles.length > 0);
    const res = await send([nodes.connect()]).expect(503);
    expect(res.body).toMatchObject({ error_msg: expect.stringContaining('too long') as unknown });
    expect(nodes.kills).toEqual([]);
  });

  it('records a refused request whose client disconnected before the response', async () => {
    const { app } = start({
      keystone: {
        verify: async () => {
          await pause(50);
          throw unauthenticated('decrypt token fail');
        },
      } as unknown as KeystoneTokens,
    });
    const server = createServer(app).listen(0);
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    socket.write(`GET ${processesPath()} HTTP/1.1\r\nHost: a\r\nX-Auth-Token: guess\r\n\r\n`);
    await once(server, 'request');
    socket.resetAndDestroy();
    await until('it is on record', () => readFileSync(path, 'utf8').includes('denied'));
    server.close();
    expect(await records()).toMatchObject([{ record: 'denied', status: 401 }]);
  });

  it('keeps outcomes while it cannot be written, and records them later', async () => {
    const file = new LineFile(path);
    let isFull = false;
    const append = file.append.bind(file);
    file.append = (line) => (isFull ? Promise.reject(new Error('full')) : append(line));
    await audit.close();
    rmSync(path);
    let back = 0;
    const onBack = (): number => (back += 1);
    audit = new FileAudit(file, 4711, (error) => troubles.push(error), onBack);
    const { nodes, send } = start({ audit });
    const id = nodes.connect();
    const { kills } = nodes;
    kills.push = (...ids: bigint[]) => {
      isFull = true;
      return Array.prototype.push.apply(kills, ids);
    };
    await send([id]).expect(200);
    expect([await audit.trouble(), back]).toEqual(['full', 0]);
    isFull = false;
    expect([await audit.trouble(), back]).toEqual([undefined, 1]);
    expect((await records()).map(({ record }) => record)).toEqual(['intent', 'resumed', 'outcome']);
  });

  it('delays the sync of outcomes and refusals, but not of an intent', async () => {
    const file = new LineFile(path);
    const append = file.append.bind(file);
    const asked: [string, boolean | undefined][] = [];
    file.append = (line, options) => {
      asked.push([(JSON.parse(line) as { record: string }).record, options?.hasTime]);
      return append(line, options);
    };
    const other = new FileAudit(file, 4711, (error) => troubles.push(error));
    const { nodes, send } = start({ audit: other });
    await send([nodes.connect()]).expect(200);
    await send([1n], { 'X-Auth-Token': 'wrong' }).expect(401);
    other.reopen();
    await other.close();
    expect(asked).toEqual([
      ['started', false],
      ['intent', false],
      ['outcome', true],
      ['denied', true],
      ['reopened', true],
    ]);
  });

  it('reports trouble before the disk is full', async () => {
    const file = Object.assign(new LineFile(path), { freeBytes: () => Promise.resolve(1000) });
    const other = new FileAudit(file, 4711, () => undefined);
    expect(await other.trouble()).toBe('ENOSPC');
    await other.close();
  });

  it('reports trouble if its file system does not answer, and queries it once', async () => {
    let asked = 0;
    const freeBytes = (): Promise<number> => {
      asked += 1;
      return new Promise(() => undefined);
    };
    const other = new FileAudit(
      Object.assign(new LineFile(path), { freeBytes }),
      1,
      () => undefined,
    );
    expect(await Promise.all([other.trouble(), other.trouble()])).toEqual([
      'ETIMEDOUT',
      'ETIMEDOUT',
    ]);
    expect(asked).toBe(1);
    await other.close();
  });

  it('escapes each character that a reader could take for a line end', async () => {
    const { nodes, send } = start();
    const id = nodes.connect({ db: 'a\u2028b\u0085c' });
    await send([id]).expect(200);
    await audit.close();
    expect(readFileSync(path, 'utf8')).toContain('"db":"a\\u2028b\\u0085c"');
  });

  it('causes a new list if it is slow, so that a new session with an old id lives', async () => {
    const { nodes, send } = start({
      audit: {
        ...NO_AUDIT,
        intend: () => {
          nodes.disconnect(changed);
          nodes.connect({ id: changed.toString(), host: '10.0.0.5:9' });
          return Promise.resolve();
        },
      },
    });
    const [changed, same] = [nodes.connect(), nodes.connect()];
    // The first list is dated as if the record had taken three seconds.
    nodes.clock = () => performance.now() - (nodes.lists === 0 ? 3000 : 0);
    const body = `{"processes_killed":[${same}],"processes_not_found":[${changed}]}`;
    await send([changed, same]).expect(200, body);
    expect([nodes.kills, nodes.has(changed)]).toEqual([[same], true]);
  });
});

describe('X-Kill-Reason', () => {
  it.each([
    ['text in any script', 'zu viele Verbindungen — 连接数过多', 200],
    ['256 characters', '好'.repeat(256), 200],
    ['257 characters', 'x'.repeat(257), 400],
    ['a tab', 'a\tb', 400],
    ['a line separator', Buffer.from('a\u2028b').toString('latin1'), 400],
    ['a space alone', ' ', 400],
    ['bytes that are not UTF-8', Buffer.from([0xe9]).toString('latin1'), 400],
  ])('with %s (%s) gets %s', async (_what, reason, status) => {
    const { app, nodes } = start();
    const id = nodes.connect();
    const bytes = status === 200 ? Buffer.from(reason).toString('latin1') : reason;
    const server = createServer(app).listen(0);
    const { port } = server.address() as AddressInfo;
    // Node's own client would encode the headers like a text body; `fetch` keeps their bytes.
    const res = await fetch(`http://127.0.0.1:${port}${processesPath()}`, {
      method: 'DELETE',
      headers: {
        'X-Auth-Token': TOKEN,
        'Content-Type': 'application/json',
        'X-Kill-Reason': bytes,
      },
      body: `{"processes":[${id}]}`,
    });
    const body = await res.json();
    server.close();
    expect(res.status).toBe(status);
    if (status === 200) {
      expect((await records())[0]).toMatchObject({ reason });
    } else {
      expect(body).toEqual({
        error_code: 'DBS.200001',
        error_msg: 'Parameter error. The header X-Kill-Reason must be 1 to 256 visible characters.',
      });
      expect(nodes.connections).toBe(0);
    }
  });

  it('can be made mandatory', async () => {
    const { nodes, send } = start({ isReasonRequired: true });
    const id = nodes.connect();
    const res = await send([id]).expect(400);
    expect(res.body).toEqual({
      error_code: 'DBS.200001',
      error_msg:
        'Parameter error. The header X-Kill-Reason must be 1 to 256 visible characters, and is required here.',
    });
    await send([id], { 'X-Kill-Reason': 'because' }).expect(200);
  });
});
