import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'lossless-json';
import request from 'supertest';
import type { Node } from '../../src/domain/node.ts';
import { sessionOf } from '../../src/domain/session.ts';
import type { ListedRow } from '../../src/domain/user-sessions.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { openSession, runUnwatched, type ClientSession } from '../support/client-session.ts';
import { processesPath } from '../support/ids.ts';
import { asRoot, liveIds, nodeOn, processList, servers } from '../support/server.ts';
import { createService, TOKEN, type TestService } from '../support/service.ts';
import { until } from '../support/until.ts';

const SYSTEM_USER =
  'The node protects a session whose account has SYSTEM_USER, which the control account lacks. End it on the node, or GRANT SYSTEM_USER ON *.* TO the control account. That also exposes system threads.';
const MISSING =
  'The control account lacks a privilege on the node: GRANT CONNECTION_ADMIN ON *.*, or make the role that has it a default role.';

/** The optional grants that deploy/account/mysql.sql offers. */
const READS = Array.from(
  readFileSync('deploy/account/mysql.sql', 'utf8').matchAll(/^(?:-- )?GRANT (SELECT .+) TO /gm),
  ([, grant = '']) => grant,
);
const readsOf = (...tables: string[]): string[] =>
  READS.filter((grant) => tables.some((table) => grant.endsWith(`.${table}`)));

describe.each(servers.filter(({ flavour }) => flavour === 'mysql'))(
  'a session that $flavour $version protects',
  (server) => {
    const suffix = randomBytes(3).toString('hex');
    const name = (role: string): string => `sc_${role}_${suffix}`;
    const control = { user: name('ctl'), password: 'password-of-the-control' };
    const created = new Set<string>();
    const opened: ClientSession[] = [];
    let nodes: MysqlNodes;
    let service: TestService;

    const sql = (...statements: string[]): Promise<void> =>
      asRoot(server, async (root) => {
        for (const statement of statements) await root.query(statement);
      });
    /** Creates an account with its name as the password. It is dropped after the test. */
    async function create(user: string, host: string, ...grants: string[]): Promise<void> {
      created.add(`'${user}'@'${host}'`);
      await sql(
        `CREATE USER '${user}'@'${host}' IDENTIFIED BY '${user}'`,
        ...grants.map((grant) => `GRANT ${grant} TO '${user}'@'${host}'`),
      );
    }
    async function open(user: string): Promise<ClientSession> {
      const account = user === server.app.user ? server.app : { user, password: user };
      const session = await openSession(server, account);
      opened.push(session);
      return session;
    }
    const place = (changes: Partial<Node> = {}): Node => nodeOn(server, { ...control, ...changes });
    const serve = (node = place()): TestService => createService({ registry: [node], nodes });

    /** Sends a DELETE, and returns the status, the applied preferences and the body. */
    async function end(ids: readonly bigint[], query = '', headers = {}) {
      const answer = await request(service.app)
        .delete(`${processesPath()}${query}`)
        .set({ 'X-Auth-Token': TOKEN, ...headers })
        .type('application/json')
        .send(`{"processes":[${ids.join()}]}`);
      const body = parse(answer.text, undefined, { parseNumber: BigInt }) as Body;
      return { status: answer.status, applied: answer.get('Preference-Applied'), body };
    }
    const dry = (ids: readonly bigint[], headers = {}) => end(ids, '?dry_run=true', headers);

    const account = `'${control.user}'@'%'`;
    const role = `'${name('role')}'@'%'`;
    beforeAll(async () => {
      await sql(
        `CREATE USER ${account} IDENTIFIED BY '${control.password}'`,
        `GRANT PROCESS, CONNECTION_ADMIN ON *.* TO ${account}`,
      );
    });
    afterAll(() => sql(`DROP USER ${account}`));
    beforeEach(() => {
      nodes = new MysqlNodes();
      service = serve();
    });
    afterEach(async () => {
      nodes.close();
      for (const session of opened.splice(0)) session.close();
      await drop();
    });
    async function drop(): Promise<void> {
      const left = [...created].map((user) => `DROP USER IF EXISTS ${user}`);
      created.clear();
      await sql(...left);
    }

    const ended = async (id: bigint): Promise<void> =>
      until('it is gone', async () => !(await liveIds(server)).has(id));

    describe('if the control account may read the grants,', () => {
      beforeAll(() => sql(...READS.map((grant) => `GRANT ${grant} TO ${account}`)));
      afterAll(() => sql(...READS.map((grant) => `REVOKE ${grant} FROM ${account}`)));

      it('fails in a dry run as in a kill', async () => {
        await create(name('sys'), '%', 'SYSTEM_USER ON *.*');
        const [spared, victim] = [await open(name('sys')), await open(server.app.user)];
        const ids = [spared.id, victim.id, 9223372036854775807n];

        const predicted = await dry(ids);

        const expected = {
          error_code: 'DBS.200005',
          error_msg: `Server failure. 1 killed, 1 not found, 1 failed, 0 unknown. Failed: ${spared.id}. ${SYSTEM_USER}`,
          processes_killed: [victim.id],
          processes_not_found: [9223372036854775807n],
          processes_failed: [spared.id],
          processes_unknown: [],
        };
        expect(predicted).toEqual({
          status: 500,
          applied: undefined,
          body: { ...expected, dry_run: true },
        });
        const alive = await liveIds(server);
        expect([spared, victim].every(({ id }) => alive.has(id))).toBe(true);
        expect(await end(ids)).toMatchObject({ status: 500, body: expected });
        await ended(victim.id);
      });

      it('has its outcome in a dry run with return=representation, without a wait', async () => {
        await create(name('sys'), '%', 'SYSTEM_USER ON *.*');
        const [spared, victim] = [await open(name('sys')), await open(server.app.user)];
        const prefer = { Prefer: 'wait=1, return=representation' };

        const { status, applied, body } = await dry([victim.id, spared.id, 5_000_000n], prefer);
        const harmless = await dry([victim.id], prefer);

        expect([status, applied]).toEqual([500, 'return=representation']);
        expect(body.processes).toMatchObject([
          { id: victim.id, outcome: 'would_kill', user: server.app.user, command: 'Sleep' },
          { id: spared.id, outcome: 'failed', user: name('sys') },
          { id: 5_000_000n, outcome: 'not_found' },
        ]);
        expect([harmless.status, harmless.applied]).toEqual([200, 'return=representation']);
        expect(harmless.body.processes).toMatchObject([{ outcome: 'would_kill' }]);
      });

      it('is predicted by the host of its account', async () => {
        const fitting = [
          '127.0.0.1',
          '127.0.0.%',
          '127.0.0._',
          '127.0.0.0/255.255.255.0',
          '127.0.0.0/24',
          '%',
        ];
        for (const host of fitting) {
          await create(name('sys'), host, 'SYSTEM_USER ON *.*');
          await create(name('sys'), '10.%');
          const { id } = await open(name('sys'));
          expect([host, (await dry([id])).status, (await end([id])).status]).toEqual([
            host,
            500,
            500,
          ]);
          await drop();
        }
      });

      it.each<[string, string, string[], number]>([
        ['only the exact host has the privilege', '127.0.0.1', ['%'], 500],
        ['only the wildcard has the privilege', '%', ['127.0.0.1'], 200],
        ['only another host has the privilege', '10.%', ['127.0.0.%'], 200],
      ])(
        'is recognised by its own account among several: %s',
        async (_what, having, lacking, status) => {
          await create(name('sys'), having, 'SYSTEM_USER ON *.*');
          for (const host of lacking) await create(name('sys'), host);
          const { id } = await open(name('sys'));
          expect([(await dry([id])).status, (await end([id])).status]).toEqual([status, status]);
        },
      );

      it('is not predicted if two wildcards fit and one lacks the privilege', async () => {
        await create(name('sys'), '127.%', 'SYSTEM_USER ON *.*');
        await create(name('sys'), '%');
        const { id } = await open(name('sys'));
        expect((await dry([id])).status).toBe(200);
      });

      it('is predicted by a role that the login activates, also through another role', async () => {
        const roles = ['r1', 'r2'].map((each) => name(each));
        for (const each of roles) created.add(`'${each}'@'%'`);
        await create(name('sys'), '%');
        await sql(
          `CREATE ROLE ${roles.join()}`,
          `GRANT SYSTEM_USER ON *.* TO ${roles[0] ?? ''}`,
          `GRANT ${roles[0] ?? ''} TO ${roles[1] ?? ''}`,
          `GRANT ${roles[1] ?? ''} TO '${name('sys')}'@'%'`,
        );
        const inactive = await open(name('sys'));
        expect((await dry([inactive.id])).status).toBe(200);
        expect((await end([inactive.id])).status).toBe(200);

        await sql(`SET DEFAULT ROLE ${roles[1] ?? ''} TO '${name('sys')}'@'%'`);
        const active = await open(name('sys'));
        expect((await dry([active.id])).status).toBe(500);
        expect((await end([active.id])).status).toBe(500);
      });

      it('does not include a session that only runs a routine of such an account', async () => {
        const schema = server.app.user;
        await create(name('sys'), '%', 'SYSTEM_USER ON *.*', `EXECUTE ON ${schema}.*`);
        const routine = `${schema}.${name('routine')}`;
        await sql(
          `CREATE DEFINER='${name('sys')}'@'%' PROCEDURE ${routine}() SQL SECURITY DEFINER SELECT SLEEP(600)`,
        );
        const [caller, owner] = [await open(server.app.user), await open(name('sys'))];
        for (const session of [caller, owner]) runUnwatched(session, `CALL ${routine}()`);
        const isRunning = async (): Promise<boolean> => {
          const rows = await processList(server);
          const busy = rows.filter(
            ({ User, State }) => User === name('sys') && State === 'User sleep',
          );
          return busy.length === 2;
        };
        await until('both run it', isRunning);

        expect((await dry([caller.id, owner.id])).body).toMatchObject({
          processes_killed: [caller.id],
        });
        expect((await end([caller.id])).status).toBe(200);
        await sql(`KILL CONNECTION ${owner.id}`, `DROP PROCEDURE ${routine}`);
      });

      it('is predicted while it runs a statement', async () => {
        await create(name('sys'), '%', 'SYSTEM_USER ON *.*');
        const session = await open(name('sys'));
        runUnwatched(session, 'SELECT SLEEP(600)');
        const isRunning = async (): Promise<boolean> =>
          (await processList(server)).some(
            ({ Id, State }) => Number(Id) === Number(session.id) && State === 'User sleep',
          );
        await until('it runs', isRunning);
        expect((await dry([session.id])).body).toMatchObject({ processes_failed: [session.id] });
      });

      it('is ended once the control account has the privilege, also over a warm connection', async () => {
        await create(name('sys'), '%', 'SYSTEM_USER ON *.*');
        const sessions = [];
        for (let count = 0; count < 12; count += 1) sessions.push(await open(name('sys')));
        const ids = sessions.map(({ id }) => id);
        expect((await dry(ids)).body.processes_failed).toEqual(ids);
        await sql(`GRANT SYSTEM_USER ON *.* TO ${account}`);
        try {
          expect((await dry(ids)).body).toMatchObject({ processes_killed: ids });
          expect((await end(ids)).body).toEqual({ processes_killed: ids, processes_not_found: [] });
          const one = await open(name('sys'));
          expect((await end([one.id])).status).toBe(200);
        } finally {
          await sql(`REVOKE SYSTEM_USER ON *.* FROM ${account}`);
        }
      });
    });

    it('is not protected from a connection that logged in with the privilege, even after its REVOKE', async () => {
      await create(name('sys'), '%', 'SYSTEM_USER ON *.*');
      const grants = [...READS, 'SYSTEM_USER ON *.*'];
      await sql(...grants.map((grant) => `GRANT ${grant} TO ${account}`));
      try {
        await service.list();
        await sql(`REVOKE SYSTEM_USER ON *.* FROM ${account}`);
        const { id } = await open(name('sys'));
        expect([(await dry([id])).status, (await end([id])).status]).toEqual([200, 200]);
      } finally {
        await sql(...grants.map((grant) => `REVOKE IF EXISTS ${grant} FROM ${account}`));
      }
    });

    it('is not predicted without the right to read the grants, and the KILL names the GRANT', async () => {
      await create(name('sys'), '%', 'SYSTEM_USER ON *.*');
      const { id } = await open(name('sys'));
      expect(await dry([id])).toMatchObject({
        status: 200,
        body: { processes_killed: [id], processes_not_found: [], dry_run: true },
      });
      const { body } = await end([id]);
      expect(body).toMatchObject({ processes_failed: [id] });
      expect(body.error_msg).toContain(SYSTEM_USER);
    });

    it.each([
      [readsOf('global_grants', 'user'), '%', 500],
      [readsOf('global_grants'), '127.0.0.1', 500],
      [readsOf('global_grants'), '%', 200],
      [readsOf('user', 'role_edges', 'default_roles', 'threads'), '127.0.0.1', 200],
    ])('with %j alone and an account @%s gets %d in a dry run', async (grants, host, status) => {
      await create(name('sys'), host, 'SYSTEM_USER ON *.*');
      await sql(...grants.map((grant) => `GRANT ${grant} TO ${account}`));
      try {
        const { id } = await open(name('sys'));
        expect((await dry([id])).status).toBe(status);
      } finally {
        await sql(...grants.map((grant) => `REVOKE ${grant} FROM ${account}`));
      }
    });

    it('can be any session once the privilege to KILL is revoked from a warm connection', async () => {
      created.add(role);
      await sql(
        `CREATE ROLE ${role}`,
        `GRANT CONNECTION_ADMIN ON *.* TO ${role}`,
        `GRANT ${role} TO ${account}`,
        `SET DEFAULT ROLE ${role} TO ${account}`,
        `REVOKE CONNECTION_ADMIN ON *.* FROM ${account}`,
      );
      try {
        const ids = [];
        for (let count = 0; count < 12; count += 1) ids.push((await open(server.app.user)).id);
        expect((await dry(ids)).status).toBe(200);
        await sql(`REVOKE CONNECTION_ADMIN ON *.* FROM ${role}`);

        const [predicted, one, many] = [await dry(ids), await end(ids.slice(0, 1)), await end(ids)];

        for (const { body } of [predicted, one, many]) expect(body.error_msg).toContain(MISSING);
        expect([predicted.body.processes_failed, many.body.processes_failed]).toEqual([ids, ids]);
        await sql(`GRANT CONNECTION_ADMIN ON *.* TO ${role}`);
        expect((await end(ids)).body).toEqual({ processes_killed: ids, processes_not_found: [] });
      } finally {
        await sql(`GRANT CONNECTION_ADMIN ON *.* TO ${account}`);
      }
    });

    it('by mysql.rds_kill fails in a dry run without the procedure', async () => {
      const grant = 'EXECUTE ON mysql.*';
      await sql(`GRANT ${grant} TO ${account}`);
      try {
        service = serve(place({ killWith: 'rds_kill' }));
        const { id } = await open(server.app.user);
        const [predicted, real] = [await dry([id]), await end([id])];
        expect(predicted.body).toEqual({ ...real.body, dry_run: true });
        expect(real.body.error_msg).toMatch(/The node has no procedure mysql\.rds_kill/);
      } finally {
        await sql(`REVOKE ${grant} FROM ${account}`);
      }
    });
  },
);

describe.each(servers.filter(({ flavour }) => flavour === 'mariadb'))(
  'a session of $flavour $version',
  (server) => {
    it('is ended over a connection that logged in before the REVOKE, as the dry run says', async () => {
      const user = `sc_ctl_${randomBytes(3).toString('hex')}`;
      const [killAny, account] = ['CONNECTION ADMIN ON *.*', `'${user}'@'%'`];
      const nodes = new MysqlNodes();
      const victim = await openSession(server);
      await asRoot(server, async (root) => {
        await root.query(`CREATE USER ${account} IDENTIFIED BY '${user}'`);
        await root.query(`GRANT PROCESS ON *.* TO ${account}`);
        await root.query(`GRANT ${killAny} TO ${account}`);
        const node = nodeOn(server, { user, password: user });
        await nodes.withConnection(node, Infinity, async (connection) => {
          await root.query(`REVOKE ${killAny} FROM ${account}`);
          const { rows } = await connection.list(Infinity);
          const sessions = rows.filter(({ id }) => id === victim.id.toString());
          const session = sessionOf({ ...sessions[0], id: victim.id.toString() } as ListedRow);
          expect(await connection.predictRefusals([session], Infinity)).toEqual(new Map());
          const limits = { sendBy: Infinity, deadline: Infinity };
          expect(await connection.kill(session, limits)).toEqual({ outcome: 'killed' });
        });
        nodes.close();
        await root.query(`DROP USER ${account}`);
      });
      victim.close();
    });
  },
);

interface Body {
  readonly error_msg?: string;
  readonly processes?: readonly unknown[];
  readonly processes_failed?: readonly bigint[];
}
