import { afterAll, afterEach, beforeAll, describe, expect } from '@jest/globals';
import type { RowDataPacket } from 'mysql2/promise';
import type { Nodes } from '../../src/domain/node.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { makeFakeClock, whyNoFakeClock, type FakeClock } from '../../tools/fake-clock.ts';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { openSession, type ClientSession } from '../support/client-session.ts';
import { itNeeds } from '../support/needs.ts';
import { asRoot, createAccounts, liveIds, nodeOn, servers } from '../support/server.ts';
import type { Server } from '../support/server.ts';
import { createService, type TestService } from '../support/service.ts';
import { until } from '../support/until.ts';

const noClock = await whyNoFakeClock();

describe.each(servers)('a node on $flavour $version whose clock is stepped', (shared) => {
  const missing = shared.canHavePair === true ? noClock : 'no server of this kind can be started.';
  let clock: FakeClock;
  let own: OwnServer;
  let server: Server;
  const opened: ClientSession[] = [];
  beforeAll(async () => {
    if (missing !== undefined) return;
    clock = makeFakeClock();
    own = await startServer(shared.flavour, { environment: clock.environment });
    server = await createAccounts(own);
  }, 120_000);
  afterEach(() => {
    for (const session of opened.splice(0)) session.close();
  });
  afterAll(async () => {
    if (missing !== undefined) return;
    await own.stop();
    clock.remove();
  });

  /** Steps the node's clock, and waits until the node reads the new time. */
  async function step(seconds: number): Promise<void> {
    clock.step(seconds);
    const name = (): string => `the node has the other time:\n${own.log().slice(-2000)}`;
    await until(name, async () =>
      asRoot(server, async (root) => {
        const [rows] = await root.query<RowDataPacket[]>('SELECT UNIX_TIMESTAMP() AS now');
        const ahead = Number(rows[0]?.['now']) - Date.now() / 1000;
        return Math.abs(ahead - seconds) < 30;
      }),
    );
  }

  /** Requests a kill. Expects either a killed session, or a reason and no killed session. */
  async function expectKillOrRefusal(service: TestService): Promise<number> {
    const [victim, bystander] = [await openSession(server), await openSession(server)];
    opened.push(victim, bystander);
    const { status, body } = await service.kill([victim.id]);
    if (status === 200) {
      expect(body).toEqual({ processes_killed: [victim.id], processes_not_found: [] });
      await until('the victim knows', () => victim.hasEnded());
    } else {
      expect([status, body]).toEqual([500, expect.objectContaining({ error_code: 'DBS.200005' })]);
      expect((await liveIds(server)).has(victim.id)).toBe(true);
    }
    expect((await liveIds(server)).has(bystander.id)).toBe(true);
    return status;
  }

  for (const seconds of [-7200, 7200]) {
    itNeeds(
      missing,
      `by ${seconds} s has its sessions killed or the request refused, and works again once the clock is right`,
      async () => {
        const warm = createService({ registry: [nodeOn(server)] });
        expect((await warm.list()).status).toBe(200);
        await step(seconds);
        expect(await expectKillOrRefusal(warm)).toBe(200);
        // With a clock before the start, the uptime proves nothing. The first request may be older than the server.
        const cold = createService({ registry: [nodeOn(server)] });
        expect(await expectKillOrRefusal(cold)).toBe(seconds < 0 ? 500 : 200);
        expect(await expectKillOrRefusal(cold)).toBe(200);

        await step(0);
        expect(await expectKillOrRefusal(warm)).toBe(200);
        expect(await expectKillOrRefusal(createService({ registry: [nodeOn(server)] }))).toBe(200);
        expect((await warm.list()).status).toBe(200);
      },
    );
  }

  itNeeds(
    missing,
    'forward at boot receives no KILL of a request from before the restart',
    async () => {
      const mysql = new MysqlNodes();
      const { id } = await openSession(server);
      let isRestarted = false;
      const nodes: Nodes = {
        probe: (node, deadline) => mysql.probe(node, deadline),
        async withConnection(node, deadline, work) {
          if (!isRestarted) {
            isRestarted = true;
            await own.restart();
            // NTP sets the clock while the server already runs, so that its uptime is 120 s.
            await step(120);
            let last = await openSession(server);
            for (; last.id < id; last = await openSession(server)) opened.push(last);
            opened.push(last);
            // Attempts to connect during the restart have failed.
            await until('it can be reached again', () =>
              mysql.withConnection(node, Infinity, () => Promise.resolve(true)).catch(() => false),
            );
          }
          return mysql.withConnection(node, deadline, work);
        },
      };
      // The service has seen the node before the restart.
      await mysql.withConnection(nodeOn(server), Infinity, (connection) =>
        connection.list(Infinity),
      );
      const service = createService({
        registry: [nodeOn(server)],
        nodes,
        requestTimeoutMs: 60_000,
      });

      const { status, body } = await service.kill([id]);

      expect([status, body]).toEqual([
        500,
        {
          error_code: 'DBS.200005',
          error_msg: expect.stringContaining('may have been started again') as unknown,
        },
      ]);
      const alive = await liveIds(server);
      expect(opened.filter((session) => !alive.has(session.id))).toEqual([]);
      mysql.close();
      await step(0);
    },
  );
});
