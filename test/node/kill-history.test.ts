import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { startRedis, type RedisServer } from '../../tools/redis-server.ts';
import { describeRedis } from '../store/redis.ts';
import { openSessions, type ClientSession } from '../support/client-session.ts';
import { nodeKey, processesPath } from '../support/ids.ts';
import { servers, type Server } from '../support/server.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { sha256 } from '../support/service.ts';
import { until } from '../support/until.ts';

const { projectId, instanceId, nodeId } = nodeKey;
const HISTORY = `/v3/${projectId}/instances/${instanceId}/process/kill/history`;
const TOKENS = { ops: 'token-of-ops', bob: 'token-of-bob' } as const;
type CallerName = keyof typeof TOKENS;

interface Found {
  readonly session_id: number;
  readonly outcome: string;
  readonly caller: string;
  readonly request_id: string;
}

describeRedis.each(servers)(
  'the history of kills of two replicas on $flavour $version',
  (server) => {
    let redis: RedisServer;
    let replicas: ServiceProcess[] = [];
    const opened: ClientSession[] = [];

    beforeAll(async () => {
      redis = await startRedis();
    });
    beforeEach(() => {
      replicas = [new ServiceProcess(), new ServiceProcess()];
      for (const replica of replicas) configure(replica, server);
      for (const replica of replicas) start(replica);
    });
    afterEach(() => {
      for (const replica of replicas) replica.remove();
      for (const session of opened.splice(0)) session.close();
    });
    afterAll(async () => {
      await redis.stop();
    });

    function configure(replica: ServiceProcess, node: Server): void {
      replica.configure(node, TOKENS.ops, {
        service: `audit: { file: audit.jsonl }
limits: { store: "redis://:\${REDIS_PASSWORD}@127.0.0.1:${redis.port}/0" }`,
        identity: `    - { sha256: ${sha256(TOKENS.bob)}, user: bob, project_id: ${projectId}, actions: ["*"] }`,
        node: 'tls: disabled',
      });
    }

    function start(replica: ServiceProcess): void {
      replica.start({ REDIS_PASSWORD: redis.password, NODE_PASSWORD: server.control.password });
    }

    const fileOf = (replica: ServiceProcess): string => `${replica.folder}/audit.jsonl`;
    const textOf = (replica: ServiceProcess): string =>
      existsSync(fileOf(replica)) ? readFileSync(fileOf(replica), 'utf8') : '';

    async function kill(
      replica: number,
      ids: readonly bigint[],
      caller: CallerName,
    ): Promise<void> {
      const response = await fetch(`${(await replicas[replica]?.url()) ?? ''}${processesPath()}`, {
        method: 'DELETE',
        headers: { 'X-Auth-Token': TOKENS[caller], 'Content-Type': 'application/json' },
        body: `{"processes":[${ids.join(',')}]}`,
      });
      expect([response.status, await response.text()]).toEqual([
        200,
        `{"processes_killed":[${ids.join(',')}],"processes_not_found":[]}`,
      ]);
    }

    /** All kills that a replica shows. */
    async function shown(replica: number, query = ''): Promise<readonly Found[]> {
      const base = (await replicas[replica]?.url()) ?? '';
      const response = await fetch(`${base}${HISTORY}?page_size=100${query}`, {
        headers: { 'X-Auth-Token': TOKENS.ops },
      });
      expect(response.status).toBe(200);
      return ((await response.json()) as { killed_sessions: Found[] }).killed_sessions;
    }

    it('has every kill once with its outcome, over a rotation and a crash', async () => {
      const sessions = await openSessions(server, 12);
      opened.push(...sessions);
      const ids = sessions.map(({ id }) => id);
      const [one, other] = replicas as [ServiceProcess, ServiceProcess];
      await kill(0, ids.slice(0, 2), 'ops');
      await kill(1, ids.slice(2, 4), 'bob');

      // A rotation: the service still writes to the renamed file until it gets SIGHUP.
      renameSync(fileOf(one), `${fileOf(one)}-20261130`);
      await kill(0, ids.slice(4, 6), 'bob');
      one.signal('SIGHUP');
      await until('it has a new file', () => textOf(one).includes('reopened'));
      await kill(0, ids.slice(6, 8), 'ops');
      const rotated = `${fileOf(one)}-20261130`;
      writeFileSync(`${rotated}.gz`, gzipSync(readFileSync(rotated)));

      // A crash right after an intent was written: Redis does not have it, and it has no outcome.
      await until('the outcome is on record', () => textOf(other).includes('"outcome"'));
      other.signal('SIGKILL');
      await other.ended();
      const text = readFileSync(fileOf(other), 'utf8');
      const intent = text.split('\n').find((line) => line.includes('"record":"intent"')) ?? '';
      const crashed = intent
        .replace(/"request_id":"\w+"/, `"request_id":"${'c'.repeat(32)}"`)
        .replace(/"time":"[^"]+"/, `"time":"${new Date().toISOString()}"`);
      appendFileSync(fileOf(other), `${crashed}\n${crashed.slice(0, 40)}`);
      start(other);
      await kill(1, ids.slice(8, 10), 'ops');
      await kill(0, ids.slice(10), 'bob');

      const expected = [
        ...ids.map((id, index) => [
          Number(id),
          [2, 3, 4, 5, 10, 11].includes(index) ? 'bob' : 'ops',
          'killed',
        ]),
        ...ids.slice(2, 4).map((id) => [Number(id), 'bob', 'unknown']),
      ].sort();
      const of = (found: readonly Found[]) =>
        found.map(({ session_id, caller, outcome }) => [session_id, caller, outcome]).sort();
      for (const replica of [0, 1]) {
        // Outcomes and shared records come soon after the answer.
        await until('the replica has everything', async () => {
          const found = await shown(replica);
          return (
            found.length === expected.length &&
            found.filter(({ outcome }) => outcome === 'unknown').length === 2
          );
        });
        expect(of(await shown(replica))).toEqual(expected);
        expect((await shown(replica, '&caller=bob')).length).toBe(8);
        expect((await shown(replica, `&node_id=${nodeId}`)).length).toBe(expected.length);
      }
    });

    it('reports that kills by other replicas can be missing while the store is down or too new', async () => {
      const [session] = (await openSessions(server, 1)) as [ClientSession];
      opened.push(session);
      const isReplicaOnly = async (startTime: number): Promise<unknown> => {
        const base = (await replicas[0]?.url()) ?? '';
        const response = await fetch(`${base}${HISTORY}?start_time=${startTime}`, {
          headers: { 'X-Auth-Token': TOKENS.ops },
        });
        return ((await response.json()) as { replica?: unknown }).replica;
      };
      await kill(0, [session.id], 'ops');
      await until('the record is shared', async () => (await shown(1)).length > 0);
      const found = Date.now();
      await until('time goes on', () => Date.now() > found);
      expect(await isReplicaOnly(found)).toBeUndefined();
      expect(await isReplicaOnly(0)).toBe(true);
      await redis.kill();
      expect(await isReplicaOnly(found)).toBe(true);
      await redis.start();
      // The records that the new, empty Redis lacks are shared again.
      await until('the other replica has the kill again', async () => {
        const all = await shown(1);
        return all.some(({ session_id }) => session_id === Number(session.id));
      });
    });
  },
);
