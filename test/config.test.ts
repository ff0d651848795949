import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serviceFile } from '../src/config/service-file.ts';
import { nodesFile } from '../src/config/nodes-file.ts';
import { readYamlFile, type Environment } from '../src/config/yaml-file.ts';
import { selfSigned } from './support/certificates.ts';
import { nodeKey } from './support/ids.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'session-control-config-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const own = await selfSigned('own');
const other = await selfSigned('other');
const encrypted = createPrivateKey(own.key).export({
  type: 'pkcs8',
  format: 'pem',
  cipher: 'aes-256-cbc',
  passphrase: 'x',
});
/** The contents of PEM files, by name. */
const PEM = {
  'own.pem': own.cert,
  'own.key': own.key,
  'other.key': other.key,
  'chain.pem': `${own.cert}\n${other.cert}`,
  'wrong-order.pem': `${other.cert}\n${own.cert}`,
  'encrypted.key': encrypted,
};
const HASH = 'ab'.repeat(32);
const TOKEN = `{ sha256: ${HASH}, user: ops, project_id: ${nodeKey.projectId}, actions: ["*"] }`;
const SERVICE = `
server: { port: 8080 }
registry: { file: nodes.yaml }
identity:
  tokens:
    - ${TOKEN}
`;
const NODE = `
nodes:
  - node_id: ${nodeKey.nodeId}
    instance_id: ${nodeKey.instanceId}
    project_id: ${nodeKey.projectId}
    host: 127.0.0.1
    user: session_control
    password: "pass"
`;

function readService(text: string, environment: Environment = {}) {
  const path = join(folder, 'service.yaml');
  writeFileSync(path, text);
  return withoutFolder(readYamlFile(path, serviceFile(path), environment));
}

function readNodes(text: string, environment: Environment = {}) {
  const path = join(folder, 'nodes.yaml');
  writeFileSync(path, text);
  const defaults = { connect_timeout_ms: 1, list_timeout_ms: 2, kill_timeout_ms: 3 };
  return withoutFolder(readYamlFile(path, nodesFile(path, defaults), environment));
}

function withoutFolder<T extends { readonly problems: readonly string[] }>(read: T): T {
  const problems = read.problems.map((problem) =>
    problem.replaceAll(`${folder}/`, '').replaceAll(folder, 'FOLDER'),
  );
  return { ...read, problems };
}

describe('service.yaml', () => {
  it('needs only the required keys, and has defaults for the others', () => {
    const { value, problems } = readService(SERVICE);
    expect(problems).toEqual([]);
    expect(value).toEqual({
      server: {
        host: '127.0.0.1',
        port: 8080,
        max_connections_per_address: 1024,
        trust_proxy: false,
        keep_alive_timeout_ms: 75_000,
      },
      log: { level: 'info', format: 'json' },
      limits: {
        max_processes_per_request: 1000,
        max_body_bytes: 262_144,
        max_wait_seconds: 60,
        request_timeout_ms: 30_000,
        requests_per_minute: 600,
      },
      node_defaults: { connect_timeout_ms: 3000, list_timeout_ms: 5000, kill_timeout_ms: 3000 },
      sessions: { internal_users: [], require_client_port: true },
      registry: { file: 'nodes.yaml', warm: 'on_demand' },
      identity: {
        tokens: [{ sha256: HASH, user: 'ops', project_id: nodeKey.projectId, actions: ['*'] }],
      },
      console: true,
    });
  });

  it('grants the roles of IAM all actions, and a reader the actions that end no session', () => {
    const { value } = readService(
      `${SERVICE}  keystone: { endpoint: "https://iam.example.com" }\n`,
    );
    expect(value?.identity.keystone?.role_actions).toEqual({
      admin: ['*'],
      te_admin: ['*'],
      member: ['*'],
      reader: ['gaussdbformysql:instance:listProcesses', 'gaussdbformysql:instance:get'],
    });
  });

  it('accepts variables, and reads them as numbers only if the key is a number', () => {
    const text = SERVICE.replace('8080', '"${PORT}", host: "${NAME}"').replace(
      'ops',
      () => '"$${a}${NAME}"',
    );
    const { value, problems } = readService(text, { PORT: '81', NAME: '127' });
    expect(problems).toEqual([]);
    expect(value?.server).toMatchObject({ port: 81, host: '127' });
    expect(value?.identity.tokens?.[0]?.user).toBe('${a}127');
  });

  it('reports all problems in one message, with their keys and without their values', () => {
    const { problems } = readService(
      `
server:
  port: 80x80
  hots: 1.2.3.4
  trust_proxy: "10.0.0.0/99"
limits: { max_body_bytes: 0, store: http://127.0.0.1 }
node_defaults: { kill_timeout_ms: "\${TIMEOUT}", list_timeout_ms: "\${WRONG}" }
log: { level: verbose }
registry: {}
audit: { file: nowhere/audit.jsonl, require_reason: maybe, path: x }
identity:
  tokens:
    - { sha256: secret, user: 5, project_id: 12345678901234567890123456789012, actions: [] }
    - ${TOKEN}
    - ${TOKEN}
`,
      { WRONG: '1e3' },
    );
    expect(problems).toEqual([
      'service.yaml:7:35: node_defaults.kill_timeout_ms needs the variable TIMEOUT, which is not set',
      'service.yaml:3:9: server.port must be an integer from 0 to 65535',
      'service.yaml:5:16: server.trust_proxy must be true, false, a number of proxies, or their addresses or networks in one text, separated by commas',
      'service.yaml:4:9: server.hots is not a known key; did you mean host?',
      'service.yaml:8:15: log.level must be one of error, warn, info, debug',
      'service.yaml:6:27: limits.max_body_bytes must be an integer from 64 to 16777216',
      'service.yaml:6:37: limits.store must be a URL such as redis://127.0.0.1:6379',
      'service.yaml:7:66: node_defaults.list_timeout_ms must be an integer from 1 to 600000',
      'service.yaml:9:11: registry.file is required',
      'service.yaml:13:17: identity.tokens[0].sha256 must be a SHA-256 of 64 hex digits; `printf %s "$token" | sha256sum` prints one',
      'service.yaml:13:31: identity.tokens[0].user must be a text (in quotes if it looks like a number)',
      'service.yaml:13:46: identity.tokens[0].project_id must be 32 letters and digits (in quotes if it looks like a number); `openssl rand -hex 16` prints one',
      'service.yaml:13:89: identity.tokens[0].actions must not be empty',
      'service.yaml:15:17: identity.tokens[2].sha256 is the same as in entry [1]',
      'service.yaml:10:16: audit.file must be in a folder that exists and can be written to, not nowhere (ENOENT: no such file or directory)',
      'service.yaml:10:53: audit.require_reason must be true or false',
      'service.yaml:10:66: audit.path is not a known key',
    ]);
  });

  const believing = (proxies: string): string =>
    SERVICE.replace('8080', `8080, trust_proxy: ${proxies}`);

  it.each([
    'true',
    '"0.0.0.0/0"',
    '"10.0.0.1, ::/0"',
    '"10.0.0.0/8, 0.0.0.0/00 , loopback"',
    '"0.0.0.0/1, 128.0.0.0/1"',
    '"10.0.0.0/7"',
    '"::ffff:0.0.0.0/96"',
    '"0:0:0:0:0:FFFF:a00:0/103"',
    '"2001::/15"',
    '"fe80::%eth0/15"',
  ])('refuses to trust proxies that any client could claim to be: trust_proxy %s', (proxies) => {
    expect(readService(believing(proxies)).problems).toEqual([
      expect.stringMatching(
        /: server.trust_proxy must not trust every peer, nor a network shorter than \/8 \(IPv6: \/16\), without tls.client_ca_file: any client could lock out any address; give the number of proxies, or their addresses$/,
      ),
    ]);
  });

  it.each([
    'false',
    '0',
    '1',
    '"10.0.0.0/8, 192.0.2.1"',
    '"loopback"',
    '"::ffff:10.0.0.0/104, 2001::/16, ::1"',
  ])('trusts proxies with known addresses: trust_proxy %s', (proxies) => {
    expect(readService(believing(proxies)).problems).toEqual([]);
  });

  it('trusts every client that has a certificate of the authority: trust_proxy true', async () => {
    const { cert, key } = await selfSigned('localhost');
    writeFileSync(join(folder, 'cert.pem'), cert);
    writeFileSync(join(folder, 'key.pem'), key);
    const files = 'cert_file: cert.pem, key_file: key.pem';
    const withTls = (tls: string) => readService(believing(`true, tls: { ${tls} }`)).problems;
    expect(withTls(files)).toHaveLength(1);
    expect(withTls(`${files}, client_ca_file: cert.pem`)).toEqual([]);
  });

  it.each([0, 8193, '"many"'])('refuses a limit of %s connections per address', (bound) => {
    const text = SERVICE.replace('8080', `8080, max_connections_per_address: ${bound}`);
    expect(readService(text).problems).toEqual([
      expect.stringMatching(
        /server.max_connections_per_address must be an integer from 1 to 8192$/,
      ),
    ]);
  });

  it('serves the metrics on loopback unless a host is given, and refuses a bad port', () => {
    const metrics = (settings: string) => readService(`${SERVICE}metrics: ${settings}`);
    expect(metrics('{ port: 9464 }').value?.metrics).toEqual({ host: '127.0.0.1', port: 9464 });
    expect(metrics('{ port: 9464, host: 10.0.0.1 }').value?.metrics?.host).toBe('10.0.0.1');
    expect(metrics('{}').problems).toEqual(['service.yaml:7:10: metrics.port is required']);
    expect(metrics('{ port: 99999, host: 1, path: /x }').problems).toEqual([
      'service.yaml:7:31: metrics.host must be a text (in quotes if it looks like a number)',
      'service.yaml:7:18: metrics.port must be an integer from 0 to 65535',
      'service.yaml:7:40: metrics.path is not a known key',
    ]);
  });

  it.each([
    ['', 'service.yaml: the file must be a group of keys'],
    ['- a', 'service.yaml:1:1: the file must be a group of keys'],
    ['a: [', 'service.yaml:1:5: is not valid YAML'],
    [`${SERVICE}server: { port: 1 }`, 'is not valid YAML (duplicate key)'],
    [SERVICE.replace('ops', '"${USER:-x}"'), 'has a ${ that is not ${NAME}; a dollar sign is $$'],
  ])('is refused as %j', (text, expected) => {
    const { value, problems } = readService(text);
    expect(value).toBeUndefined();
    expect(problems.join('\n')).toContain(expected);
  });

  it('accepts any number of aliases', () => {
    const tokens = Array.from({ length: 300 }, (_, index) => {
      const sha256 = index.toString(16).padStart(64, '0');
      return `    - { sha256: '${sha256}', user: *user, project_id: *project, actions: *actions }\n`;
    });
    const first = `    - { sha256: ${HASH}, user: &user ops, project_id: &project ${nodeKey.projectId}, actions: &actions ["*"] }\n`;
    const head = SERVICE.slice(0, SERVICE.indexOf('    - '));
    const { value, problems } = readService(head + first + tokens.join(''));
    expect(problems).toEqual([]);
    expect(value?.identity.tokens?.[300]).toMatchObject({ user: 'ops', actions: ['*'] });
  });

  it('accepts aliases of aliases without filling the memory', () => {
    const rows = Array.from({ length: 30 }, (_, index) => {
      const below = index === 0 ? 'x' : `*a${index - 1}`;
      return `a${index}: &a${index} [${Array<string>(9).fill(below).join(', ')}]`;
    });
    expect(readService(rows.join('\n')).problems.at(-1)).toMatch(
      /^service.yaml:30:\d+: a29 is not a known key$/,
    );
  });

  it.each([
    [
      'server: *nobody',
      'service.yaml:1:9: the alias here stands for nothing: quote a text that begins with *, or define the anchor before',
    ],
    [
      'a: 1\nserver: &a { tls: *a }',
      'service.yaml:2:19: the alias here stands for a value that holds it',
    ],
    [
      'server: &a [1, { tls: [*a] }]',
      'service.yaml:1:24: the alias here stands for a value that holds it',
    ],
  ])(
    'with a wrong alias is refused with the place and the cause, but not with its text: %j',
    (text, problem) => {
      expect(readService(text).problems).toEqual([problem]);
    },
  );

  it('that cannot be read is reported', () => {
    const { problems } = readYamlFile(join(folder, 'none.yaml'), serviceFile(''), {});
    expect(problems).toEqual([
      `${folder}/none.yaml: cannot be read (ENOENT: no such file or directory)`,
    ]);
  });

  it.each([
    [
      'server:\n\tport: 1\nlog:\n\tlevel: info',
      '2:1',
      'a tab indents the line: indent with spaces',
    ],
    ['server:\n  port: 1\n \thost: a', '3:1', 'a tab indents the line: indent with spaces'],
    ['a:\n  - b\n\t- c\nd: [', '3:1', 'a tab indents the line: indent with spaces'],
    ['a: @b\nc: @d', '1:4', 'a text that begins with %, @ or ` needs quotes'],
    [
      'a: 1\n b: 2\nc: d: e',
      '1:4',
      'a key on the line of another key: give it a line of its own, or quote a text that holds a colon and a space',
    ],
    ['a: 1\na: 2\na: 3', '2:1', 'duplicate key'],
  ])('that is not YAML is reported once, with the remedy: %j', (text, place, reason) => {
    expect(readService(text).problems).toEqual([
      `service.yaml:${place}: is not valid YAML (${reason})`,
    ]);
  });

  it.each([
    ['sever', 'server'],
    ['Identity', 'identity'],
    ['registries', 'registry'],
    ['metric', 'metrics'],
  ])('with the unknown key %s suggests %s', (given, meant) => {
    const { problems } = readService(`${SERVICE}${given}: { a: 1 }\n`);
    expect(problems.at(-1)).toMatch(
      new RegExp(`: ${given} is not a known key; did you mean ${meant}\\?$`),
    );
  });

  it.each([
    ['limits: { port: 8080 }', 'limits.port', 'server.port or metrics.port'],
    ['server: { port: 0, level: debug }', 'server.level', 'log.level'],
    ['file: audit.log', 'file', 'registry.file or audit.file'],
    ['server: { port: 0, cert_file: a }', 'server.cert_file', 'server.tls.cert_file'],
    ['limits: { sha256: a }', 'limits.sha256', 'identity.tokens[].sha256'],
    ['limits: { kill_timeout_ms: 5 }', 'limits.kill_timeout_ms', 'node_defaults.kill_timeout_ms'],
    ['limits: { console: false }', 'limits.console', 'console at the top of the file'],
  ])('with %j says where the key belongs', (line, key, meant) => {
    const [name = ''] = line.split(':');
    const others = SERVICE.split('\n').filter((other) => !other.startsWith(`${name}:`));
    const { problems } = readService(`${others.join('\n')}${line}\n`);
    expect(problems.map((problem) => problem.replace(/^\S+ /, ''))).toEqual([
      `${key} is not a known key; did you mean ${meant}?`,
    ]);
  });

  it.each([
    ['ca_file: ca.pem', 'ca_file', 'tls.ca_file'],
    ['tls: { ca_file: own.pem, password: a }', 'tls.password', 'password'],
  ])('of nodes with %j says where the key belongs', (line, key, meant) => {
    expect(readNodes(`${NODE}    ${line}\n`).problems).toContainEqual(
      expect.stringMatching(
        `: nodes\\[0]\\.${key} is not a known key; did you mean nodes\\[0]\\.${meant}\\?$`,
      ),
    );
  });

  it.each(['colour', 'x', '__proto__', 'constructor'])(
    'with the unknown key %s, which resembles none, suggests nothing',
    (given) => {
      expect(readService(`${SERVICE}${given}: 1\n`).problems).toEqual([
        `service.yaml:7:${given.length + 3}: ${given} is not a known key`,
      ]);
    },
  );
});

describe.each([
  {
    file: 'service.yaml',
    group: 'server.tls',
    read: (files: string) => readService(SERVICE.replace('8080', `8080, tls: { ${files} }`)),
  },
  {
    file: 'nodes.yaml',
    group: 'nodes[0].tls',
    read: (files: string) => readNodes(`${NODE}    tls: { ca_file: own.pem, ${files} }\n`),
  },
])('a certificate in $file', ({ group, read }) => {
  beforeEach(() => {
    for (const [name, text] of Object.entries(PEM)) writeFileSync(join(folder, name), text);
  });

  it.each([
    ['own.pem', 'own.key'],
    ['chain.pem', 'own.key'],
  ])('%s is accepted with its key %s', (cert, key) => {
    expect(read(`cert_file: ${cert}, key_file: ${key}`).problems).toEqual([]);
  });

  it.each([
    [
      'none.pem',
      'own.key',
      'cert_file names none.pem, which cannot be read (ENOENT: no such file or directory)',
    ],
    [
      'own.pem',
      'none/own.key',
      'key_file names none/own.key, which cannot be read (ENOENT: no such file or directory)',
    ],
    ['own.key', 'own.key', 'cert_file names own.key, which holds no certificate in PEM'],
    ['own.pem', 'own.pem', 'key_file names own.pem, which holds no private key in PEM'],
    [
      'own.pem',
      'encrypted.key',
      'key_file names encrypted.key, which is encrypted: remove its passphrase with `openssl pkey -in FILE -out NEW_FILE`',
    ],
    [
      'own.pem',
      'other.key',
      'key_file names other.key, which does not belong to the first certificate in own.pem',
    ],
    [
      'wrong-order.pem',
      'own.key',
      'key_file names own.key, which does not belong to the first certificate in wrong-order.pem',
    ],
  ])('%s with the key %s is refused with the path and the reason', (cert, key, problem) => {
    const { problems } = read(`cert_file: ${cert}, key_file: ${key}`);
    expect(problems.map((line) => line.replace(/^\S+ /, ''))).toEqual([`${group}.${problem}`]);
  });
});

describe('nodes.yaml', () => {
  it('has nodes with the default limits, or with their own', () => {
    const { value, problems } = readNodes(`${NODE}    list_timeout_ms: 20\n`);
    expect(problems).toEqual([]);
    expect(value?.nodes).toEqual([
      {
        ...nodeKey,
        host: '127.0.0.1',
        port: 3306,
        user: 'session_control',
        password: 'pass',
        tls: 'offered',
        serverUuid: undefined,
        internalUsers: [],
        connectTimeoutMs: 1,
        listTimeoutMs: 20,
        killTimeoutMs: 3,
        killWith: 'kill',
      },
    ]);
  });

  it('accepts a certificate of the service and its key, and refuses one without the other', () => {
    for (const [name, text] of Object.entries(PEM)) writeFileSync(join(folder, name), text);
    const withTls = (tls: string) => readNodes(`${NODE}    tls: { ca_file: own.pem, ${tls} }\n`);
    expect(withTls('cert_file: own.pem, key_file: own.key').value?.nodes[0]?.tls).toEqual({
      ca: own.cert,
      client: own,
      serverName: undefined,
    });
    const rest = 'is required: cert_file and key_file belong together';
    expect(withTls('cert_file: own.pem').problems).toEqual([
      `nodes.yaml:9:10: nodes[0].tls.key_file ${rest}`,
    ]);
    expect(withTls('key_file: own.key').problems).toEqual([
      `nodes.yaml:9:10: nodes[0].tls.cert_file ${rest}`,
    ]);
    expect(withTls('key-file: own.key').problems).toEqual([
      'nodes.yaml:9:40: nodes[0].tls.key-file is not a known key; did you mean key_file?',
    ]);
  });

  it('can share TLS settings among 400 nodes by an alias', () => {
    writeFileSync(join(folder, 'ca.pem'), own.cert);
    const nodes = Array.from({ length: 400 }, (_, index) => {
      const id = index.toString().padStart(32, '0');
      const tls = index === 0 ? '&tls { ca_file: ca.pem, server_name: db }' : '*tls';
      return `  - { node_id: ${id}no07, instance_id: ${nodeKey.instanceId}, project_id: ${nodeKey.projectId}, host: 10.0.0.1, user: u, password: "p", tls: ${tls} }`;
    });
    const { value, problems } = readNodes(`nodes:\n${nodes.join('\n')}\n`);
    expect(problems).toEqual([]);
    expect(value?.nodes).toHaveLength(400);
    expect(value?.nodes[399]?.tls).toEqual({ ca: own.cert, serverName: 'db' });
  });

  it.each([
    ['[::1]', '::1'],
    ['[2001:db8::7]', '2001:db8::7'],
    ['::1', '::1'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['db-1.internal', 'db-1.internal'],
    ['db_1.internal.', 'db_1.internal.'],
    ['例.internal', '例.internal'],
  ])('accepts the host %s', (host, reached) => {
    const quoted = NODE.replace('127.0.0.1', `'${host}'`);
    const { value, problems } = readNodes(
      `${quoted}    admin_port: 1\n    admin_host: '${host}'\n`,
    );
    expect(problems).toEqual([]);
    expect(value?.nodes[0]).toMatchObject({ host: reached, admin: { host: reached } });
  });

  it.each([
    '[::1',
    '::1]',
    '[127.0.0.1]',
    '[db.internal]',
    '[::1]:3306',
    'db.internal:3306',
    '10.0.0.1:3306',
    'mysql://db.internal',
    'db.internal/shop',
    'root@db.internal',
    'db internal',
    ' db.internal',
    'db..internal',
    '.internal',
    '10.0.0.0/8',
    '*',
    'a, b',
    '10.0.0.256',
    '1.2.3',
  ])('refuses the host %j, because it never resolves', (host) => {
    const rule = 'must be a host name or an IP address, without a port';
    const quoted = NODE.replace('127.0.0.1', `'${host}'`);
    expect(readNodes(`${quoted}    admin_port: 1\n    admin_host: '${host}'\n`).problems).toEqual([
      `nodes.yaml:6:11: nodes[0].host ${rule}`,
      `nodes.yaml:10:17: nodes[0].admin_host ${rule}`,
    ]);
  });

  it('accepts the optional keys of a node', () => {
    const { problems } = readNodes(`${NODE}
    admin_port: 33062
    admin_host: 127.0.0.1
    tls: disabled
    server_uuid: 3f1c2b4a-0000-11ee-8000-0242ac120002
    server_identity: DB1.example.com:3306:17
    internal_users: [backup]
    kill_with: rds_kill
    name: orders-primary
    connect_timeout_ms: 1000
    kill_timeout_ms: 1000
`);
    expect(problems).toEqual([]);
  });

  it.each(['db1', 'db1:3306', ':3306:1', 'db1:3306:x', '10.0.0.5:3306:1:2'])(
    'refuses %s as an identity of a server',
    (identity) => {
      expect(readNodes(`${NODE}    server_identity: ${identity}\n`).problems).toEqual([
        expect.stringMatching(/server_identity must be hostname:port:server_id$/),
      ]);
    },
  );

  it('accepts a spare port, by default at the same host, and refuses to send a password to it in plain text', () => {
    expect(readNodes(`${NODE}    admin_port: 33062\n`).value?.nodes[0]?.admin).toEqual({
      host: '127.0.0.1',
      port: 33_062,
    });
    const { problems } = readNodes(`${NODE}
    admin_port: 33062
    admin_host: 10.0.0.6
    tls: disabled
`);
    expect(problems).toEqual([
      expect.stringContaining('unless host and admin_host are on loopback'),
    ]);
  });

  it('reports all problems in one message', () => {
    const { problems } = readNodes(`
nodes:
  - node_id: ${nodeKey.instanceId}
    instance_id: ${nodeKey.instanceId}
    host: db.example.com
    port: 0
    user: ""
    password: 123
    tls: disabled
  - node_id: ${nodeKey.nodeId}
    instance_id: ${nodeKey.instanceId}
    project_id: ${nodeKey.projectId}
    host: db.example.com
    user: u
    password: "$\{PASSWORD}"
    tls: { ca_file: none.pem }
    kill_with: force
    server_uuid: yes
`);
    expect(problems).toEqual([
      'nodes.yaml:15:15: nodes[1].password needs the variable PASSWORD, which is not set',
      "nodes.yaml:3:14: nodes[0].node_id must be 36 letters and digits that end in no07; `openssl rand -hex 16 | sed 's/$/no07/'` prints one",
      'nodes.yaml:3:5: nodes[0].project_id is required',
      'nodes.yaml:6:11: nodes[0].port must be an integer from 1 to 65535',
      'nodes.yaml:7:11: nodes[0].user must not be empty',
      'nodes.yaml:8:15: nodes[0].password must be a text (in quotes if it looks like a number)',
      'nodes.yaml:9:10: nodes[0].tls must not be disabled unless host and admin_host are on loopback: the password would cross the network in the clear',
      'nodes.yaml:16:21: nodes[1].tls.ca_file names none.pem, which cannot be read (ENOENT: no such file or directory)',
      'nodes.yaml:18:18: nodes[1].server_uuid must be a UUID',
      'nodes.yaml:17:16: nodes[1].kill_with must be one of kill, rds_kill',
    ]);
  });

  it.each([
    [
      'tls: disabled',
      'nodes[0].tls must not be disabled unless host and admin_host are on loopback: the password would cross the network in the clear',
    ],
    [
      'tls: { ca_file: none.pem }',
      'nodes[0].tls.ca_file names none.pem, which cannot be read (ENOENT: no such file or directory)',
    ],
    [
      'tls: { ca_file: . }',
      'nodes[0].tls.ca_file names FOLDER, which cannot be read (EISDIR: illegal operation on a directory)',
    ],
    [
      'tls: { ca_file: nodes.yaml }',
      'nodes[0].tls.ca_file names nodes.yaml, which holds no certificate in PEM',
    ],
    ['tls: off', 'nodes[0].tls must be disabled, or a group with the key ca_file'],
    ['tls: [disabled]', 'nodes[0].tls must be disabled, or a group with the key ca_file'],
    ['tls: {}', 'nodes[0].tls.ca_file is required'],
  ])('refuses %s for a node on another host', (line, expected) => {
    const { problems } = readNodes(`${NODE.replace('127.0.0.1', 'db.example.com')}    ${line}\n`);
    expect(problems.map((problem) => problem.replace(/^\S+ /, ''))).toEqual([expected]);
  });

  it.each([
    'a',
    'orders-primary',
    'Orders (primary), Frankfurt',
    '订单主库',
    'x'.repeat(64),
    '\u{1f418}'.repeat(64),
  ])('accepts the name %s', (name) => {
    const { value, problems } = readNodes(`${NODE}    name: ${JSON.stringify(name)}\n`);
    expect(problems).toEqual([]);
    expect(value?.nodes[0]?.name).toBe(name);
  });

  it.each([
    '',
    ' ',
    ' orders',
    'orders ',
    'x'.repeat(65),
    'orders\nprimary',
    'orders\u0000',
    'orders\u001b[31m',
    'orders\u007f',
    'orders\u009b',
    'orders\u202etxt',
    'orders\u2028',
    'orders\u00ad',
  ])('refuses the name %j', (name) => {
    expect(readNodes(`${NODE}    name: ${JSON.stringify(name)}\n`).problems).toEqual([
      'nodes.yaml:9:11: nodes[0].name must be 1 to 64 characters, without control characters and without a space at either end',
    ]);
  });

  it('refuses a number as a name', () => {
    expect(readNodes(`${NODE}    name: 17\n`).problems).toEqual([
      expect.stringMatching(
        /without a space at either end \(in quotes if it looks like a number\)$/,
      ),
    ]);
  });

  it.each([
    ['orders', 'orders'],
    ['orders', 'ORDERS'],
    ['caf\u00e9', 'cafe\u0301'],
  ])('refuses the names %j and %j in one project, but not in two', (one, other) => {
    const [first, second] = [
      `${NODE}    name: ${JSON.stringify(one)}\n`,
      NODE.replace('\nnodes:', '').replace('18663926', '28663926') +
        `    name: ${JSON.stringify(other)}\n`,
    ];
    expect(readNodes(first + second).problems).toEqual([
      'nodes.yaml:17:11: nodes[1].name is the same as in entry [0], which has the same project_id',
    ]);
    const elsewhere = second.replace(nodeKey.projectId, nodeKey.projectId.toUpperCase());
    expect(readNodes(first + elsewhere).problems).toEqual([]);
  });

  it('refuses a node that is listed twice', () => {
    const { problems } = readNodes(NODE + NODE.replace('\nnodes:', ''));
    expect(problems).toEqual(['nodes.yaml:10:14: nodes[1].node_id is the same as in entry [0]']);
  });
});
