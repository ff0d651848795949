import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { openSession, runUnwatched, type ClientSession } from '../support/client-session.ts';
import {
  asRoot,
  connectAs,
  createAccounts,
  nodeOn,
  processList,
  servers,
  type Server,
} from '../support/server.ts';
import { createService, type TestService } from '../support/service.ts';
import { until } from '../support/until.ts';

const BATCH = { user: 'batch', password: 'batch-of-the-tests' };

for (const { flavour, version, canHavePair } of servers) {
  (canHavePair ? describe : describe.skip)(
    `a routine with a definer on ${flavour} ${version}`,
    () => {
      testRoutines(flavour);
    },
  );
}

function testRoutines(flavour: Server['flavour']): void {
  let own: OwnServer;
  let server: Server;
  const opened: ClientSession[] = [];

  beforeAll(async () => {
    own = await startServer(flavour, {
      ...(flavour === 'mariadb' && { arguments: ['--performance-schema=ON'] }),
    });
    server = await createAccounts(own);
    const { user } = server.app;
    await asRoot(server, async (root) => {
      await root.query(`CREATE USER batch@'%' IDENTIFIED BY '${BATCH.password}'`);
      await root.query('CREATE USER rdsadmin@localhost');
      await root.query(`GRANT EXECUTE ON ${user}.* TO batch@'%'`);
      for (const [name, definer] of Object.entries({
        batch: `batch@'%'`,
        control: `${server.control.user}@'%'`,
        rdsadmin: 'rdsadmin@localhost',
        app: `${user}@'%'`,
      })) {
        await root.query(`CREATE DEFINER=${definer} PROCEDURE ${user}.as_${name}() DO SLEEP(600)`);
        await root.query(`GRANT ALL ON ${user}.* TO ${definer}`);
      }
    });
    // After this login, MySQL accepts the account without TLS, too.
    if (flavour === 'mysql') {
      await (await connectAs(server, BATCH, { ssl: { rejectUnauthorized: false } })).end();
    }
  }, 120_000);
  afterEach(() => {
    for (const session of opened.splice(0)) session.close();
  });
  afterAll(() => own.stop());

  function serve(requireClientPort = true): TestService {
    const internalUsers = [BATCH.user];
    return createService({ registry: [nodeOn(server)], internalUsers, requireClientPort });
  }

  async function open(account = server.app): Promise<ClientSession> {
    const session = await openSession(server, account);
    opened.push(session);
    return session;
  }

  /** Opens a session of the app over the Unix socket. */
  async function openLocally(): Promise<ClientSession> {
    const socketPath = await asRoot(server, async (root) => {
      const [rows] = await root.query<RowDataPacket[]>('SELECT @@socket AS path');
      return String(rows[0]?.['path']);
    });
    const connection = await createConnection({ ...server.app, socketPath });
    let ended = false;
    for (const event of ['end', 'error']) connection.on(event, () => (ended = true));
    const [rows] = await connection.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id');
    const session = {
      id: BigInt(String(rows[0]?.['id'])),
      connection,
      hasEnded: () => ended,
      close: () => {
        connection.destroy();
      },
    };
    opened.push(session);
    return session;
  }

  async function isListed(service: TestService, { id }: ClientSession): Promise<boolean> {
    const processes = await service.listAll();
    return processes.some((listed) => listed.id === id);
  }

  /** Waits until the node shows the session under the account and with the command. */
  async function untilShown({ id }: ClientSession, user: string, command: string): Promise<void> {
    await until(`session ${id} is shown as ${user} in ${command}`, async () =>
      (await processList(server)).some(
        (row) =>
          String(row['Id']) === String(id) && row['User'] === user && row['Command'] === command,
      ),
    );
  }

  async function enter(session: ClientSession, name: string, user: string): Promise<void> {
    runUnwatched(session, `CALL ${server.app.user}.as_${name}()`);
    await untilShown(session, user, 'Query');
  }

  async function leave({ id }: ClientSession): Promise<void> {
    await asRoot(server, (root) => root.query(`KILL QUERY ${id}`));
  }

  async function expectKilled(service: TestService, session: ClientSession): Promise<void> {
    expect(await isListed(service, session)).toBe(true);
    expect((await service.kill([session.id])).body).toEqual({
      processes_killed: [session.id],
      processes_not_found: [],
    });
    await until('the session has ended', () => session.hasEnded());
  }

  const definers: [string, () => string][] = [
    ['batch', () => BATCH.user],
    ['control', () => server.control.user],
    ['rdsadmin', () => 'rdsadmin'],
  ];

  it.each(definers)(
    'of %s hides a session, listed before, only until it ends',
    async (name, user) => {
      const service = serve();
      const session = await open();
      expect(await isListed(service, session)).toBe(true);
      await enter(session, name, user());
      expect(await isListed(service, session)).toBe(false);
      await leave(session);
      await untilShown(session, server.app.user, 'Sleep');
      await expectKilled(service, session);
    },
  );

  it.each(definers)(
    'of %s hides a session, never listed before, only until it ends',
    async (name, user) => {
      const service = serve();
      const session = await open();
      await enter(session, name, user());
      expect(await isListed(service, session)).toBe(false);
      runUnwatched(session, 'DO SLEEP(600)');
      await leave(session);
      await untilShown(session, server.app.user, 'Query');
      await expectKilled(service, session);
    },
  );

  it.each(['batch', 'rdsadmin'])(
    'of %s hides a session over the Unix socket only until it ends, if such sessions are listed',
    async (name) => {
      const service = serve(false);
      const local = await openLocally();
      await enter(local, name, name);
      expect(await isListed(service, local)).toBe(false);
      await leave(local);
      await untilShown(local, server.app.user, 'Sleep');
      await expectKilled(service, local);
    },
  );

  it('of an ordinary account does not expose a session of an internal account', async () => {
    const service = serve();
    const session = await open(BATCH);
    await untilShown(session, BATCH.user, 'Sleep');
    expect(await isListed(service, session)).toBe(false);
    await enter(session, 'app', server.app.user);
    expect(await isListed(service, session)).toBe(false);
    expect((await service.kill([session.id])).body).toEqual({
      processes_killed: [],
      processes_not_found: [session.id],
    });
    await leave(session);
    await untilShown(session, BATCH.user, 'Sleep');
    expect(session.hasEnded()).toBe(false);
  });

  it('that ends sessions without the privilege is not reported as protection by the node', async () => {
    const { user } = server.control;
    await asRoot(server, async (root) => {
      await root.query(`CREATE DEFINER=batch@'%' PROCEDURE mysql.rds_kill(IN id BIGINT) KILL id`);
      await root.query(`GRANT EXECUTE ON PROCEDURE mysql.rds_kill TO batch@'%'`);
      await root.query(`GRANT EXECUTE ON PROCEDURE mysql.rds_kill TO ${user}@'%'`);
    });
    const node = nodeOn(server, { killWith: 'rds_kill' });
    const session = await open();
    const { id } = session;
    const { body } = await createService({ registry: [node] }).kill([id]);
    expect(body).toMatchObject({
      error_msg: `Server failure. 0 killed, 0 not found, 1 failed, 0 unknown. Failed: ${id}. The node does not let the control account end a session (error 1095): it is protected, or a privilege is missing.`,
      processes_failed: [id],
    });
    expect(session.hasEnded()).toBe(false);
  });

  it.each(['logged in as such', 'changed from a known user'])(
    'of an ordinary account does not expose an internal session that %s, with the grant on threads',
    async (how) => {
      const grant = `SELECT ON performance_schema.threads`;
      await asRoot(server, (root) => root.query(`GRANT ${grant} TO ${server.control.user}@'%'`));
      const service = serve();
      const session = await open(how === 'logged in as such' ? BATCH : server.app);
      if (how !== 'logged in as such') {
        expect(await isListed(service, session)).toBe(true);
        await session.connection.changeUser(BATCH);
      }
      await enter(session, 'app', server.app.user);
      expect(await isListed(service, session)).toBe(false);
      expect((await service.kill([session.id])).body).toEqual({
        processes_killed: [],
        processes_not_found: [session.id],
      });
      await leave(session);
      await untilShown(session, BATCH.user, 'Sleep');
      expect(session.hasEnded()).toBe(false);
      await session.connection.changeUser(server.app);
      await untilShown(session, server.app.user, 'Sleep');
      await expectKilled(service, session);
    },
  );
}
