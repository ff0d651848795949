import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { nodeTroubles } from '../../src/commands/check-report.ts';
import { probe } from '../../src/mysql/probe.ts';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { openSession, runUnwatched, type ClientSession } from '../support/client-session.ts';
import { processesPath } from '../support/ids.ts';
import {
  asRoot,
  createAccounts,
  nodeOn,
  processList,
  servers,
  type Server,
} from '../support/server.ts';
import { createService, TOKEN, type TestService } from '../support/service.ts';
import { until } from '../support/until.ts';

/** A host name that leaves no room for a port. As the host of a definer, it is listed without a name server. */
const LONG_NAME = `${'long-name'.repeat(6)}.test`;

for (const { version, canHavePair } of servers.filter(({ flavour }) => flavour === 'mariadb')) {
  (canHavePair ? describe : describe.skip)(`a long host name on mariadb ${version}`, testCutHosts);
}

function testCutHosts(): void {
  let own: OwnServer;
  let server: Server;
  let session: ClientSession;

  beforeAll(async () => {
    own = await startServer('mariadb', { arguments: ['--performance-schema=ON'] });
    server = await createAccounts(own);
    const { user } = server.app;
    await asRoot(server, async (root) => {
      await root.query(`CREATE USER long_named@'${LONG_NAME}'`);
      await root.query(
        `CREATE DEFINER=long_named@'${LONG_NAME}' PROCEDURE ${user}.wait() DO SLEEP(600)`,
      );
      await root.query(`GRANT ALL ON ${user}.* TO long_named@'${LONG_NAME}'`);
    });
  }, 120_000);
  afterEach(async () => {
    session.close();
    // During SLEEP, the server does not notice that its client has gone. The KILL fails if the session has ended.
    await asRoot(server, (root) => root.query(`KILL ${session.id}`).catch(() => undefined));
    await until('it is not listed', async () =>
      (await processList(server)).every((row) => String(row['Id']) !== String(session.id)),
    );
  });
  afterAll(() => own.stop());

  /** Opens a session whose host the node cuts off. */
  async function openCut(): Promise<void> {
    session = await openSession(server);
    runUnwatched(session, `CALL ${server.app.user}.wait()`);
    await until('its host is cut off', async () =>
      (await processList(server)).some(
        (row) => String(row['Id']) === String(session.id) && row['Host'] === `${LONG_NAME}:`,
      ),
    );
  }

  async function capabilities({ app }: TestService): Promise<unknown> {
    const path = processesPath().replace(/processes$/, 'capabilities');
    return (await request(app).get(path).set('X-Auth-Token', TOKEN).expect(200)).body as unknown;
  }

  it('hides its session from a control account that cannot read the threads, and is counted', async () => {
    await openCut();
    const service = createService({ registry: [nodeOn(server)] });
    expect((await service.list()).body).toEqual({ processes: [], total_count: 0n });
    expect((await service.kill([session.id])).body).toEqual({
      processes_killed: [],
      processes_not_found: [session.id],
    });
    expect(session.hasEnded()).toBe(false);
    expect(await capabilities(service)).toMatchObject({ second_opinion: false, cut_hosts: 1 });
    const node = nodeOn(server);
    expect(nodeTroubles(node, await probe(node, performance.now() + 10_000))).toEqual([
      expect.stringContaining(
        `GRANT SELECT ON performance_schema.threads TO '${server.control.user}'@'%';`,
      ),
    ]);
  });

  it('hides no session from a control account that can read the threads', async () => {
    await asRoot(server, (root) =>
      root.query(`GRANT SELECT ON performance_schema.threads TO '${server.control.user}'@'%'`),
    );
    await openCut();
    const service = createService({ registry: [nodeOn(server)] });
    expect(await capabilities(service)).toMatchObject({ second_opinion: true, cut_hosts: 0 });
    expect((await service.list()).body).toMatchObject({ processes: [{ id: session.id }] });
    expect((await service.kill([session.id])).body).toEqual({
      processes_killed: [session.id],
      processes_not_found: [],
    });
    await until('it has ended', () => session.hasEnded());
  });
}
