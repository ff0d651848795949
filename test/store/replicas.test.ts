import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { startRedis, type RedisServer } from '../../tools/redis-server.ts';
import { openSession, type ClientSession } from '../support/client-session.ts';
import { processesPath } from '../support/ids.ts';
import { liveIds, servers, type Server } from '../support/server.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { ACCESS_KEY, sign } from '../support/sign.ts';
import { until } from '../support/until.ts';
import { describeRedis } from './redis.ts';

const TOKEN = 'token-of-the-replicas';
const [server] = servers as [Server];

describeRedis('two replicas with one store', () => {
  let redis: RedisServer;
  let replicas: ServiceProcess[] = [];
  let session: ClientSession;

  beforeAll(async () => {
    redis = await startRedis();
  });
  beforeEach(async () => {
    replicas = [new ServiceProcess(), new ServiceProcess()];
    for (const replica of replicas) configure(replica);
    for (const replica of replicas) await replica.url();
    session = await openSession(server);
  });
  afterEach(() => {
    for (const replica of replicas) replica.remove();
    session.close();
  });
  afterAll(async () => {
    await redis.stop();
  });

  function configure(replica: ServiceProcess, database = 1, limits = ''): void {
    const { access, secret, projectId } = ACCESS_KEY;
    replica.configure(server, TOKEN, {
      service: `limits: { store: "redis://:\${REDIS_PASSWORD}@127.0.0.1:${redis.port}/${database}"${limits} }`,
      identity: `  access_keys: [{ access: ${access}, secret: "${secret}", user: signer, project_id: ${projectId}, actions: ["*"] }]`,
    });
    replica.start({ REDIS_PASSWORD: redis.password, NODE_PASSWORD: server.control.password });
  }

  async function kill(
    replica: number,
    body: string,
    headers: Record<string, string>,
  ): Promise<[number, string]> {
    const base = (await replicas[replica]?.url()) ?? '';
    const response = await fetch(`${base}${processesPath()}`, {
      method: 'DELETE',
      headers: { 'Content-Type': 'application/json', ...headers },
      body,
    });
    return [response.status, await response.text()];
  }

  /** Expects one KILL in the logs of both replicas, which are complete once the replicas have ended. */
  async function expectOneKill(): Promise<void> {
    for (const replica of replicas) {
      replica.signal('SIGTERM');
      await replica.ended();
    }
    expect(replicas.flatMap((replica) => replica.events('kill'))).toHaveLength(1);
  }

  it('execute one Idempotency-Key once, also after one of them stops', async () => {
    const body = `{"processes":[${session.id}]}`;
    const headers = { 'X-Auth-Token': TOKEN, 'Idempotency-Key': `key-${session.id}` };
    const first = [200, `{"processes_killed":[${session.id}],"processes_not_found":[]}`];

    const answers = await Promise.all([kill(0, body, headers), kill(1, body, headers)]);

    expect(answers).toEqual([first, first]);
    replicas[0]?.signal('SIGTERM');
    expect(await replicas[0]?.ended()).toBe(0);
    expect(await kill(1, body, headers)).toEqual(first);
    await expectOneKill();
    expect((await liveIds(server)).has(session.id)).toBe(false);
  });

  it('replay a signed DELETE that the other one has answered', async () => {
    const body = `{"processes":[${session.id}]}`;
    const headers = sign({ method: 'DELETE', path: processesPath(), body });
    const first = await kill(0, body, headers);
    expect(await kill(1, body, headers)).toEqual(first);
    await expectOneKill();
  });

  it('count reads and kills separately, each over both replicas', async () => {
    for (const replica of replicas) replica.remove();
    replicas = [new ServiceProcess(), new ServiceProcess()];
    for (const replica of replicas) configure(replica, 2, ', requests_per_minute: 3');
    const token = { 'X-Auth-Token': TOKEN };
    const statuses = async (send: (replica: number) => Promise<number>): Promise<number[]> => {
      const given: number[] = [];
      for (const replica of [0, 1, 0, 1]) given.push(await send(replica));
      return given;
    };
    // Requests that come before the store is connected are not counted.
    const body = '{"processes":[4000000000]}';
    for (const replica of replicas.keys()) {
      const signed = (): Record<string, string> =>
        sign({ method: 'DELETE', path: processesPath(), body });
      // Without the store, a signed kill gets 503. Its caller has counts of its own.
      await until(
        'the store is connected',
        async () => (await kill(replica, body, signed()))[0] === 200,
      );
    }
    const read = async (replica: number): Promise<number> => {
      const base = (await replicas[replica]?.url()) ?? '';
      return (await fetch(base + processesPath(), { headers: token })).status;
    };
    const killUnknownId = async (replica: number): Promise<number> =>
      (await kill(replica, '{"processes":[4000000000]}', token))[0];

    expect(await statuses(read)).toEqual([200, 200, 200, 429]);
    expect(await statuses(killUnknownId)).toEqual([200, 200, 200, 429]);
  });

  it('refuse a keyed kill while the store is down, and execute a kill without a key', async () => {
    const body = `{"processes":[${session.id}]}`;
    const token = { 'X-Auth-Token': TOKEN };
    await redis.kill();

    const [status, text] = await kill(0, body, { ...token, 'Idempotency-Key': 'down' });
    expect([status, (JSON.parse(text) as { error_code: string }).error_code]).toEqual([
      503,
      'APIGW.0201',
    ]);
    const signed = sign({ method: 'DELETE', path: processesPath(), body });
    expect((await kill(0, body, signed))[0]).toBe(503);
    expect((await liveIds(server)).has(session.id)).toBe(true);
    expect(await kill(0, body, token)).toEqual([
      200,
      `{"processes_killed":[${session.id}],"processes_not_found":[]}`,
    ]);

    await redis.start();
    await until(
      'the replica has it again',
      () => replicas[0]?.events('store reachable again').length === 1,
    );
    const again = await kill(0, '{"processes":[4000000000]}', {
      ...token,
      'Idempotency-Key': 'up',
    });
    expect(again).toEqual([200, '{"processes_killed":[],"processes_not_found":[4000000000]}']);
    expect(replicas[0]?.output).not.toContain(redis.password);
  });
});
