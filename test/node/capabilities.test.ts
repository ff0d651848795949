import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import type { Node } from '../../src/domain/node.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { TcpProxy } from '../../tools/tcp-proxy.ts';
import { processesPath } from '../support/ids.ts';
import { asRoot, nodeOn, servers, type Server } from '../support/server.ts';
import { createService, TOKEN } from '../support/service.ts';

interface Sources {
  readonly sources: Readonly<Record<string, unknown>>;
  readonly optional_grants: readonly string[];
}

/** The response for an account with the required privileges and without optional grants. */
function sourcesWithoutGrants({ flavour }: Server): Sources {
  const on = (...tables: string[]): string[] =>
    tables.map((table) => `SELECT ON performance_schema.${table}`);
  const deniedOf = (...tables: string[]): string =>
    `The control account lacks a privilege: ${on(...tables)
      .map((grant) => `GRANT ${grant}`)
      .join(', ')} TO the control account.`;
  const more = on('metadata_locks', 'threads', 'session_connect_attrs');
  if (flavour === 'mysql') {
    return {
      sources: {
        transaction: 'available',
        row: deniedOf('data_lock_waits', 'data_locks'),
        metadata: deniedOf('metadata_locks', 'threads'),
        connection_attributes: deniedOf('session_connect_attrs'),
      },
      optional_grants: [...on('data_lock_waits', 'data_locks'), ...more],
    };
  }
  const off = expect.stringMatching(/performance schema of the node is off/) as unknown;
  return {
    sources: {
      ...{ transaction: 'available', row: 'available' },
      ...{ metadata: off, connection_attributes: off },
    },
    optional_grants: more,
  };
}

describe.each(servers)('the capabilities of $flavour $version', (server) => {
  const poor = { user: `${server.control.user}_p`, password: 'x' };
  beforeAll(async () => {
    await asRoot(server, (root) => root.query(`CREATE USER '${poor.user}'@'%' IDENTIFIED BY 'x'`));
  });
  afterAll(async () => {
    await asRoot(server, (root) => root.query(`DROP USER '${poor.user}'@'%'`));
  });

  async function ask(changes: Partial<Node> = {}, language = 'en-us'): Promise<unknown> {
    const { app } = createService({ registry: [nodeOn(server, changes)] });
    const path = processesPath().replace(/processes$/, 'capabilities');
    const headers = { 'X-Auth-Token': TOKEN, 'X-Language': language };
    return (await request(app).get(path).set(headers).expect(200)).body as unknown;
  }

  const version = server.version.split('.').slice(0, 2).join('.');
  const killAny = server.flavour === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';

  it('have no missing grants for an account with the required privileges', async () => {
    expect(await ask()).toEqual({
      reachable: true,
      connected: false,
      main_port: 'open',
      admin_port: 'not configured',
      flavour: server.flavour,
      version,
      missing_grants: [],
      rollback_view: true,
      second_opinion: false,
      cut_hosts: 0,
      ...sourcesWithoutGrants(server),
    });
  });

  it('have every source for an account with the optional grants', async () => {
    const { optional_grants: grants } = sourcesWithoutGrants(server);
    const change = (verb: 'GRANT' | 'REVOKE', to: 'TO' | 'FROM'): Promise<void> =>
      asRoot(server, async (root) => {
        for (const grant of grants) {
          await root.query(`${verb} ${grant} ${to} '${server.control.user}'@'%'`);
        }
      });
    await change('GRANT', 'TO');
    const { sources, optional_grants: left } = (await ask()) as Sources;
    await change('REVOKE', 'FROM');
    expect(left).toEqual([]);
    const off = expect.stringMatching(/performance schema of the node is off/) as unknown;
    const ofSchema = server.flavour === 'mysql' ? 'available' : off;
    expect(sources).toEqual({
      ...{ transaction: 'available', row: 'available' },
      ...{ metadata: ofSchema, connection_attributes: ofSchema },
    });
  });

  it('name each missing grant for an account without privileges', async () => {
    expect(await ask(poor)).toMatchObject({
      reachable: true,
      missing_grants: ['PROCESS ON *.*', `${killAny} ON *.*`],
      rollback_view: false,
      cut_hosts: null,
    });
  });

  it('have a second opinion for an account that may read the threads', async () => {
    const root = { user: server.root.user, password: server.root.password };
    expect(await ask(root)).toMatchObject({ second_opinion: server.flavour === 'mysql' });
  });

  it('have a reachable node while the main port is shut but a connection is open', async () => {
    const proxy = await TcpProxy.start(server.host, server.port);
    const nodes = new MysqlNodes();
    const place = nodeOn(server, { host: '127.0.0.1', port: proxy.port, listTimeoutMs: 1000 });
    const service = createService({ registry: [place], nodes });
    await service.list();
    proxy.inject('to client', { kind: 'reset' });
    const path = processesPath().replace(/processes$/, 'capabilities');
    const told = await request(service.app).get(path).set('X-Auth-Token', TOKEN).expect(200);
    expect(told.body).toMatchObject({
      reachable: true,
      connected: true,
      main_port: 'The connection to the node was lost.',
      flavour: null,
    });
    expect((await service.list()).status).toBe(200);

    proxy.strike('to client', { kind: 'black hole' });
    const lost = await request(service.app).get(path).set('X-Auth-Token', TOKEN).expect(200);
    expect(lost.body).toMatchObject({ reachable: false, connected: false });
    nodes.close();
    await proxy.close();
  });

  it('name the trouble with each port', async () => {
    const admin = { host: '127.0.0.1', port: 9 };
    expect(await ask({ admin })).toMatchObject({
      reachable: true,
      main_port: 'open',
      admin_port: 'The node cannot be reached.',
    });
    expect(await ask({ host: '127.0.0.1', port: 9 }, 'zh-cn')).toEqual({
      reachable: false,
      connected: false,
      main_port: '无法连接节点。',
      admin_port: 'not configured',
      flavour: null,
      version: null,
      missing_grants: null,
      rollback_view: null,
      second_opinion: null,
      cut_hosts: null,
      sources: null,
      optional_grants: null,
    });
    expect(await ask({ password: 'wrong' })).toMatchObject({
      reachable: false,
      // The MariaDB server of the tests offers no TLS.
      main_port:
        server.flavour === 'mysql'
          ? 'The node refuses the control account.'
          : 'The node refuses the control account, and offers no TLS. If the account has REQUIRE SSL, give the node TLS.',
    });
  });
});
