import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createListener } from '../../src/http/listener.ts';
import { openSession, runUnwatched, type ClientSession } from '../support/client-session.ts';
import { nodeKey, processesPath } from '../support/ids.ts';
import { asRoot, liveIds, nodeOn, servers, type Account } from '../support/server.ts';
import { createService } from '../support/service.ts';
import { ACCESS_KEY, sign } from '../support/sign.ts';
import { until } from '../support/until.ts';

// The SDK is CommonJS. Its files import each other without endings, so the test uses `require`.
const load = createRequire(import.meta.url);
const core = '@huaweicloud/huaweicloud-sdk-core';
const { ClientBuilder } = load(`${core}/ClientBuilder`) as { ClientBuilder: SdkBuilder };
const { BasicCredentials } = load(`${core}/auth/BasicCredentials`) as {
  BasicCredentials: SdkCredentials;
};
// The SDK prints the Authorization header of failed requests.
(load('log4js') as { configure: (settings: object) => void }).configure({
  appenders: { out: { type: 'stdout' } },
  categories: { default: { appenders: ['out'], level: 'off' } },
});

/** The parts of the SDK's core that these tests use. Its own types need DOM types. */
interface SdkClient {
  sendRequest(options: object): Promise<object>;
}
type SdkBuilder = new (make: (client: SdkClient) => SdkClient) => {
  withCredential(credential: object): InstanceType<SdkBuilder>;
  withEndpoint(endpoint: string): InstanceType<SdkBuilder>;
  build(): SdkClient;
};
type SdkCredentials = new () => {
  withAk(access: string): InstanceType<SdkCredentials>;
  withSk(secret: string): InstanceType<SdkCredentials>;
  withProjectId(projectId: string): InstanceType<SdkCredentials>;
};

describe.each(servers)('a signing client on $flavour $version', (server) => {
  // It may read more than the control account of the other tests.
  const reader: Account = { user: `sc_locks_${randomUUID().slice(0, 8)}`, password: randomUUID() };
  const lockNode = nodeOn(server, { nodeId: `${'1'.repeat(32)}no07`, ...reader });
  const registry = [nodeOn(server), lockNode];
  const service = createService({ registry, accessKeys: [ACCESS_KEY] });
  const opened: ClientSession[] = [];
  let listener: HttpServer;
  let endpoint = '';

  beforeAll(async () => {
    const log = { log: () => undefined };
    listener = createListener(service.app, { requestTimeoutMs: 30_000, log });
    await once(listener.listen(0, '127.0.0.1'), 'listening');
    endpoint = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
  });
  afterEach(() => {
    for (const session of opened.splice(0)) session.close();
  });
  afterAll(() => {
    listener.close();
    listener.closeAllConnections();
  });

  async function open(): Promise<ClientSession> {
    const session = await openSession(server);
    opened.push(session);
    return session;
  }

  function sdk(secret = ACCESS_KEY.secret): SdkClient {
    const credentials = new BasicCredentials()
      .withAk(ACCESS_KEY.access)
      .withSk(secret)
      .withProjectId(nodeKey.projectId);
    return new ClientBuilder((client) => client)
      .withCredential(credentials)
      .withEndpoint(endpoint)
      .build();
  }

  // Generated clients of the service describe their requests to the core in this form.
  function toSdk(method: 'GET' | 'DELETE', more: object, call = 'processes'): object {
    return {
      method,
      url: `/v3/{project_id}/instances/{instance_id}/nodes/{node_id}/${call}`,
      contentType: 'application/json',
      queryParams: {},
      pathParams: {
        project_id: nodeKey.projectId,
        instance_id: nodeKey.instanceId,
        node_id: nodeKey.nodeId,
      },
      headers: {},
      ...more,
    };
  }

  /** Returns the ids on all pages, because other tests have sessions on this server, too. */
  async function listAll(): Promise<number[]> {
    const ids: number[] = [];
    for (;;) {
      const queryParams = { offset: ids.length, limit: 100 };
      const page = (await sdk().sendRequest(toSdk('GET', { queryParams }))) as {
        processes: { id: number }[];
      };
      ids.push(...page.processes.map(({ id }) => id));
      if (page.processes.length < 100) return ids;
    }
  }

  it('lists sessions and ends one with the official SDK', async () => {
    const [victim, bystander] = [await open(), await open()];

    const listed = await listAll();
    const killed = await sdk().sendRequest(
      toSdk('DELETE', { data: { processes: [Number(victim.id), 4_000_000_000] } }),
    );

    expect(listed).toEqual(expect.arrayContaining([Number(victim.id), Number(bystander.id)]));
    expect(killed).toEqual({
      processes_killed: [Number(victim.id)],
      processes_not_found: [4_000_000_000],
      httpStatusCode: 200,
    });
    await until('the victim is gone', async () => !(await liveIds(server)).has(victim.id));
    expect((await liveIds(server)).has(bystander.id)).toBe(true);
  });

  it('with the official SDK gets the cause of a lock wait', async () => {
    const killAny = server.flavour === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';
    const tables = ['data_lock_waits', 'data_locks', 'metadata_locks', 'threads'];
    await asRoot(server, async (root) => {
      await root.query(`CREATE USER ${reader.user}@'%' IDENTIFIED BY '${reader.password}'`);
      await root.query(`GRANT PROCESS, ${killAny} ON *.* TO ${reader.user}@'%'`);
      for (const table of server.flavour === 'mysql' ? tables : []) {
        await root.query(`GRANT SELECT ON performance_schema.${table} TO ${reader.user}@'%'`);
      }
    });
    const [root, waiter] = [await open(), await open()];
    const db = server.app.user;
    await root.connection.query(`CREATE TABLE ${db}.sdk (id INT PRIMARY KEY) ENGINE = InnoDB`);
    await root.connection.query(`INSERT INTO ${db}.sdk VALUES (1)`);
    await root.connection.query('BEGIN');
    await root.connection.query(`DELETE FROM ${db}.sdk WHERE id = 1`);
    const sql = `SELECT * FROM ${db}.sdk WHERE id = 1 FOR UPDATE`;
    runUnwatched(waiter, sql);
    const ask = (pid: bigint): Promise<object> => {
      const more = { queryParams: { pid: Number(pid) } };
      const options = toSdk('GET', more, 'process/lock-wait') as { pathParams: object };
      options.pathParams = { ...options.pathParams, node_id: lockNode.nodeId };
      return sdk().sendRequest(options);
    };
    let answer: object = {};
    await until(
      'it waits',
      async () => {
        answer = await ask(waiter.id);
        return 'blocker_pid' in (causeIn(answer) ?? {});
      },
      60_000,
      200,
    );

    expect(causeIn(answer)).toMatchObject({
      locked_pid: Number(waiter.id),
      locked_sql: sql,
      wait_seconds: expect.any(Number) as unknown,
      lock_db: db,
      lock_table: 'sdk',
      lock_index: 'PRIMARY',
      lock_mode: expect.stringMatching(/^X/) as unknown,
      lock_data: '1',
      blocker_pid: Number(root.id),
      blocker_state: 'RUNNING',
      blocker_age: expect.any(Number) as unknown,
      blocker_rows_locked: expect.any(Number) as unknown,
      blocker_rows_modified: 1,
      blocker_current_sql: [],
      blocker_host: expect.stringMatching(/:\d+$/) as unknown,
      blocker_command: 'Sleep',
      ...(server.flavour === 'mysql' && { blocker_thread_id: expect.any(Number) as unknown }),
    });
    expect(await ask(root.id)).toEqual({ httpStatusCode: 200 });
    await expect(ask(4_000_000_000n)).rejects.toMatchObject({
      httpStatusCode: 404,
      errorCode: 'DBS.290013',
    });
    await root.connection.query('ROLLBACK');
    await asRoot(server, async (admin) => {
      await admin.query(`DROP USER ${reader.user}@'%'`);
    });
  });

  it('with the official SDK and a wrong secret gets the error of the gateway, and ends no session', async () => {
    const session = await open();

    const sent = sdk('wrong').sendRequest(
      toSdk('DELETE', { data: { processes: [Number(session.id)] } }),
    );

    await expect(sent).rejects.toMatchObject({
      httpStatusCode: 401,
      errorCode: 'APIGW.0301',
      errorMsg: expect.stringContaining(
        'verify aksk signature fail, canonicalRequest:DELETE|/v3/',
      ) as unknown,
      requestId: expect.stringMatching(/^[0-9a-f]{32}$/) as unknown,
    });
    expect((await liveIds(server)).has(session.id)).toBe(true);
  });

  it.each([
    [
      'Python',
      '{"processes": [ID, 4000000000]}',
      {
        'content-type': 'application/json;charset=utf-8',
        host: 'HOST',
        'user-agent': 'huaweicloud-usdk-python/3.0',
      },
      {},
    ],
    [
      'Go',
      '{"processes":[ID,4000000000]}\n',
      { 'user-agent': 'huaweicloud-usdk-go/3.0', 'x-project-id': nodeKey.projectId },
      { 'content-type': 'application/json;charset=UTF-8' },
    ],
    [
      'Java',
      '{"processes":[ID,4000000000]}',
      { host: 'HOST', 'user-agent': 'huaweicloud-usdk-java/3.0' },
      { 'content-type': 'application/json;charset=UTF-8' },
    ],
  ])(
    'ends a session with a request in the form of the %s SDK',
    async (_sdk, shape, signed, unsigned) => {
      const session = await open();
      const body = shape.replace('ID', session.id.toString());
      const host = new URL(endpoint).host;
      const named = Object.entries(signed).map(([name, value]) => [
        name,
        value.replace('HOST', host),
      ]);
      const headers = sign({
        method: 'DELETE',
        path: processesPath(),
        headers: Object.fromEntries(named) as Record<string, string>,
        body,
      });

      const response = await fetch(`${endpoint}${processesPath()}`, {
        method: 'DELETE',
        headers: { ...headers, ...unsigned },
        body,
      });

      expect([response.status, await response.text()]).toEqual([
        200,
        `{"processes_killed":[${session.id}],"processes_not_found":[4000000000]}`,
      ]);
      await until('it is gone', async () => !(await liveIds(server)).has(session.id));
    },
  );

  it('gets the first response for an identical request, immediately and later, and ends no session', async () => {
    const session = await open();
    const body = `{"processes":[${session.id},4000000000]}`;
    const headers = sign({ method: 'DELETE', path: processesPath(), body });
    const send = async (): Promise<[number, string]> => {
      const response = await fetch(`${endpoint}${processesPath()}`, {
        method: 'DELETE',
        headers: { ...headers, 'content-type': 'application/json' },
        body,
      });
      return [response.status, await response.text()];
    };

    const killsBefore = kills(service);
    const answers = await Promise.all([send(), send(), send()]);
    answers.push(await send());

    const first = [200, `{"processes_killed":[${session.id}],"processes_not_found":[4000000000]}`];
    expect(answers).toEqual([first, first, first, first]);
    expect(kills(service) - killsBefore).toBe(1);
    const repeated = service.events.filter(
      ({ fields }) => 'repeated' in fields && fields.repeated === true,
    );
    expect(repeated).toHaveLength(3);
  });

  it('gets a 415, and no error of the signature, for a compressed body', async () => {
    const body = gzipSync('{"processes":[1]}');
    const headers = sign({ method: 'DELETE', path: processesPath(), body });
    const response = await fetch(`${endpoint}${processesPath()}`, {
      method: 'DELETE',
      headers: { ...headers, 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body,
    });
    expect(response.status).toBe(415);
  });
});

function kills({ events }: ReturnType<typeof createService>): number {
  return events.filter(({ message }) => message === 'kill').length;
}

function causeIn(answer: object): object | undefined {
  type Caused = { abnormal_root_cause?: { lock_root_cause: object } };
  return (answer as Caused).abnormal_root_cause?.lock_root_cause;
}
