import { appendFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { LineFile } from '../../src/audit/line-file.ts';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { startRedis } from '../../tools/redis-server.ts';
import { describeRedis } from '../store/redis.ts';
import { selfSigned } from '../support/certificates.ts';
import {
  checkNode,
  nodeId,
  writeCheckedFiles,
  type NodeSettings,
} from '../support/checked-node.ts';
import { runCheck } from '../support/commands.ts';
import { FakeKeystone } from '../support/fake-keystone.ts';
import { startNodeWithCertificate } from '../support/node-with-certificate.ts';
import {
  asRoot,
  createAccounts,
  pinOf,
  processList,
  servers,
  type Server,
} from '../support/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'session-control-check-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Runs `check` on one node with these settings. */
const checkOne = (server: Server, settings: NodeSettings): Promise<[number, object]> =>
  checkNode(folder, server, settings);

const configure = (server: Server, nodes: readonly NodeSettings[], service = ''): string =>
  writeCheckedFiles(folder, server, nodes, service);

/** Returns the line that `check` suggests for nodes.yaml. */
async function lineToAdd(server: Server): Promise<string> {
  const { serverUuid, serverIdentity } = await pinOf(server);
  return serverUuid === undefined
    ? `server_identity: ${String(serverIdentity)}`
    : `server_uuid: ${serverUuid}`;
}

describe.each(servers)('check on $flavour $version', (server) => {
  const poor = { user: `${server.control.user}_c`, password: 'x' };
  const version = server.version.split('.').slice(0, 2).join('.');
  const line = server.flavour === 'mysql' ? 'encrypted' : 'plain';
  beforeAll(async () => {
    await asRoot(server, (root) => root.query(`CREATE USER '${poor.user}'@'%' IDENTIFIED BY 'x'`));
  });
  afterAll(async () => {
    await asRoot(server, (root) => root.query(`DROP USER '${poor.user}'@'%'`));
  });

  it('finds no trouble on a healthy node, and leaves no session there', async () => {
    expect(await checkOne(server, {})).toEqual([
      0,
      {
        node_id: nodeId(0),
        reachable: true,
        main_port: 'open',
        admin_port: 'not configured',
        tls: line,
        flavour: server.flavour,
        version,
        server_uuid: 'not configured',
        line_to_add: await lineToAdd(server),
        missing_grants: [],
        rollback_view: true,
        second_opinion: false,
        cut_hosts: 0,
        optional_grants: [
          ...(server.flavour === 'mysql' ? ['data_lock_waits', 'data_locks'] : []),
          ...['metadata_locks', 'threads', 'session_connect_attrs'],
        ].map(
          (table) => `GRANT SELECT ON performance_schema.${table} TO '${server.control.user}'@'%';`,
        ),
        troubles: [],
      },
    ]);
    const users = (await processList(server)).map((row) => String(row['User']));
    expect(users).not.toContain(poor.user);
  });

  it('reports a node that is down, with null for everything that it cannot know', async () => {
    expect(await checkOne(server, { port: 9 })).toEqual([
      1,
      {
        node_id: nodeId(0),
        reachable: false,
        main_port: 'The node cannot be reached.',
        admin_port: 'not configured',
        tls: null,
        flavour: null,
        version: null,
        server_uuid: null,
        line_to_add: null,
        missing_grants: null,
        rollback_view: null,
        second_opinion: null,
        cut_hosts: null,
        optional_grants: null,
        troubles: [
          `The main port, ${server.host}:9: The node cannot be reached. (connect ECONNREFUSED ${server.host}:9)`,
        ],
      },
    ]);
  });

  it('reports a wrong password', async () => {
    const account = { ...server.control, password: 'wrong' };
    const hint =
      line === 'encrypted'
        ? '.'
        : ', and offers no TLS. If the account has REQUIRE SSL, give the node TLS.';
    expect(await checkOne(server, { account })).toMatchObject([
      1,
      {
        troubles: [
          `The main port, ${server.host}:${server.port}: The node refuses the control account${hint} Is the password right? May the account log in from this host? If the account has REQUIRE X509, set cert_file and key_file in nodes.yaml.`,
        ],
      },
    ]);
  });

  it('reports missing grants, with the statements that add them', async () => {
    const killAny = server.flavour === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';
    const account = `'${poor.user}'@'%'`;
    expect(await checkOne(server, { account: poor })).toMatchObject([
      1,
      {
        reachable: true,
        missing_grants: ['PROCESS ON *.*', `${killAny} ON *.*`],
        troubles: [
          `The control account lacks a privilege, or the role with this privilege is no default role. GRANT PROCESS ON *.* TO ${account}; GRANT ${killAny} ON *.* TO ${account};`,
        ],
      },
    ]);
  });

  it('reports a missing procedure', async () => {
    expect(
      await checkOne(server, { account: server.root, more: 'kill_with: rds_kill' }),
    ).toMatchObject([
      1,
      {
        reachable: true,
        missing_grants: [],
        troubles: [
          expect.stringContaining('the procedure mysql.rds_kill does not exist') as unknown,
        ],
      },
    ]);
  });

  it('reports a spare port that is shut while the main port is open', async () => {
    expect(await checkOne(server, { more: 'admin_port: 9' })).toMatchObject([
      1,
      {
        reachable: true,
        main_port: 'open',
        admin_port: 'The node cannot be reached.',
        troubles: [
          `The spare port, ${server.host}:9: The node cannot be reached. (connect ECONNREFUSED ${server.host}:9)`,
        ],
      },
    ]);
  });

  it('prints the line that pins the server, so that the spare port can be used first', async () => {
    const line = await lineToAdd(server);
    const spare = { more: `admin_port: ${server.port}` };
    expect(await checkOne(server, spare)).toMatchObject([
      0,
      { line_to_add: line, admin_port: 'open' },
    ]);
    const { output } = await runCheck(configure(server, [spare]), {}, 'table');
    expect(output).toContain(
      `${nodeId(0)}: To use the spare port before the main port was reached, add to nodes.yaml: ${line}\n`,
    );
    const pinned = { more: `${spare.more}\n    ${line}` };
    expect(await checkOne(server, pinned)).toMatchObject([0, { line_to_add: null }]);
    expect((await runCheck(configure(server, [pinned]), {}, 'table')).output).not.toContain(
      'add to nodes.yaml',
    );
  });

  it('shows the name of a node beside its id', async () => {
    const settings = { port: 9, more: 'name: orders-primary' };
    expect(await checkOne(server, settings)).toMatchObject([1, { name: 'orders-primary' }]);
    const { output } = await runCheck(configure(server, [settings]), {}, 'table');
    const label = `orders-primary (${nodeId(0)})`;
    expect(output).toContain(`\n${label}  -`);
    expect(output).toContain(`\n${label}: The main port`);
  });

  it('reports another server than the pinned one', async () => {
    const more = 'server_uuid: 3f1c6c2e-0000-4000-8000-000000000001';
    expect(await checkOne(server, { more })).toMatchObject([
      1,
      { reachable: false, main_port: expect.stringContaining('server_uuid') as unknown },
    ]);
  });

  it('shows many nodes in their order in a table that fits the terminal', async () => {
    const nodes = Array.from({ length: 40 }, (_, index) => (index === 7 ? { port: 9 } : {}));
    const { code, output } = await runCheck(configure(server, nodes), {}, 'table', 80);
    const [head = '', ...rest] = output.split('\n');
    expect(head.split(/ +/)).toEqual(
      'NODE SERVER TLS MAIN SPARE GRANTS ROLLBACKS THREADS'.split(' '),
    );
    const rows = rest.slice(0, 40);
    expect(Math.max(...[head, ...rows].map((row) => row.length))).toBeLessThanOrEqual(80);
    expect(rows.map((row) => / shut /.test(row)).indexOf(true)).toBe(7);
    expect(rows.filter((row) => row.includes(`${server.flavour} ${version}`))).toHaveLength(39);
    expect(rest.slice(40)).toEqual([
      '',
      `${nodeId(7)}: The main port, ${server.host}:9: The node cannot be reached. (connect ECONNREFUSED ${server.host}:9)`,
      '',
    ]);
    expect(code).toBe(1);
    const whole = await runCheck(configure(server, nodes), {}, 'table');
    expect(whole.output).toContain(`\n${nodeId(39)}  ${server.flavour}`);
  });
});

const [server] = servers as [Server];

describe('check', () => {
  it('prints all problems of the files as the start does, and exits with 78', async () => {
    const file = configure(server, [{ more: 'colour: blue' }], 'audit: { file: no/where }');
    expect(await runCheck(file, {})).toEqual({
      code: 78,
      output: '',
      messages: `Invalid configuration:
  ${file}:4:16: audit.file must be in a folder that exists and can be written to, not ${folder}/no (ENOENT: no such file or directory)
  ${folder}/nodes.yaml:9:13: nodes[0].colour is not a known key
`,
    });
  });

  it('reports an audit on a full disk', async () => {
    const free = jest.spyOn(LineFile.prototype, 'freeBytes').mockResolvedValue(1_000_000);
    const file = configure(server, [{}], 'audit: { file: audit.jsonl }');
    const { code, output } = await runCheck(file, {}, 'table');
    free.mockRestore();
    expect([code, output]).toEqual([
      1,
      expect.stringContaining('ENOSPC: less than a megabyte is free on its file system'),
    ]);
  });

  it('reports an audit, a store and an IAM that cannot be used', async () => {
    mkdirSync(join(folder, 'audit.jsonl'));
    const settings = `
audit: { file: audit.jsonl }
limits: { store: "redis://127.0.0.1:9" }`;
    const file = configure(server, [{}], settings);
    appendFileSync(file, '  keystone: { endpoint: "http://127.0.0.1:10" }\n');
    const { code, output } = await runCheck(file, {}, 'table');
    expect(code).toBe(1);
    expect(output.split('\n').slice(-4)).toEqual([
      expect.stringMatching(`^audit ${folder}/audit.jsonl: EISDIR`),
      'IAM http://127.0.0.1:10: connect ECONNREFUSED 127.0.0.1:10',
      'store 127.0.0.1:9: connect ECONNREFUSED 127.0.0.1:9',
      '',
    ]);
  });
});

describeRedis('check', () => {
  it('finds no trouble with an audit, a store and an IAM that can be used', async () => {
    const [redis, iam] = [await startRedis(), new FakeKeystone()];
    try {
      await iam.start();
      const url = `redis://:${redis.password}@${redis.host}:${redis.port}`;
      const settings = `
audit: { file: record.jsonl }
limits: { store: "${url}" }`;
      const file = configure(server, [{}], settings);
      appendFileSync(file, `  keystone: { endpoint: "${iam.endpoint}" }\n`);
      const { code, output } = await runCheck(file, {});
      const { parts } = JSON.parse(output) as { parts: readonly object[] };
      expect(parts).toEqual([
        { part: 'audit', place: `${folder}/record.jsonl`, trouble: null },
        { part: 'IAM', place: iam.endpoint, trouble: null },
        { part: 'store', place: `${redis.host}:${redis.port}`, trouble: null },
      ]);
      expect(code).toBe(0);
      expect(existsSync(`${folder}/record.jsonl`)).toBe(false);
    } finally {
      iam.stop();
      await redis.stop();
    }
  });
});

for (const { flavour, version, canHavePair } of servers) {
  (canHavePair ? it : it.skip)(
    `check reports a ${flavour} ${version} whose certificate another authority signed`,
    async () => {
      const own = await startNodeWithCertificate(flavour);
      try {
        writeFileSync(join(folder, 'other-ca.pem'), (await selfSigned('another')).cert);
        const more = `tls: { ca_file: other-ca.pem, server_name: ${own.name} }`;
        const wrong = { main_port: "The node's TLS certificate cannot be verified.", tls: null };
        expect(await checkOne(own.server, { more })).toMatchObject([1, wrong]);
        const right = `tls: { ca_file: ${own.caFile}, server_name: ${own.name} }`;
        expect(await checkOne(own.server, { more: right })).toMatchObject([0, { tls: 'verified' }]);
        expect(await checkOne(own.server, {})).toMatchObject([0, { tls: 'encrypted' }]);
      } finally {
        await own.stop();
      }
    },
    120_000,
  );
}

const MYSQL = servers.find(({ flavour }) => flavour === 'mysql');
(MYSQL?.canHavePair === true ? describe : describe.skip)(
  'check on a MySQL whose process list cannot be read',
  () => {
    let own: OwnServer;
    let server: Server;
    beforeAll(async () => {
      // With these options, SHOW PROCESSLIST reads a table that does not exist.
      const options = ['--performance-schema=OFF', '--performance-schema-show-processlist=ON'];
      own = await startServer('mysql', { arguments: options });
      server = await createAccounts(own);
    }, 120_000);
    afterAll(async () => {
      await own.stop();
    });

    it('reports it for the main port and the spare port', async () => {
      const trouble = expect.stringMatching(/performance schema is off\.$/) as unknown;
      const found = { reachable: false, main_port: trouble, admin_port: trouble };
      expect(await checkOne(server, { more: `admin_port: ${server.port}` })).toMatchObject([
        1,
        found,
      ]);
    });
  },
);
