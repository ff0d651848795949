import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { openSession, runUnwatched, type ClientSession } from './support/client-session.ts';
import { nodeKey, processesPath } from './support/ids.ts';
import { liveIds, servers, type Server } from './support/server.ts';
import { FakeKeystone } from './support/fake-keystone.ts';
import { ServiceProcess } from './support/service-process.ts';
import { sha256 } from './support/service.ts';
import { until } from './support/until.ts';

const TOKEN = 'token-of-the-process-test';
const OTHER_TOKEN = 'token-after-the-reload';
const [server] = servers as [Server];

let service: ServiceProcess;
const opened: ClientSession[] = [];
beforeEach(() => {
  service = new ServiceProcess();
});
afterEach(() => {
  service.remove();
  for (const session of opened.splice(0)) session.close();
});

async function openOne(): Promise<ClientSession> {
  const session = await openSession(server);
  opened.push(session);
  return session;
}

function configure(token: string, settings = ''): void {
  service.configure(server, token, { service: settings });
}

async function call(method: string, token: string, body?: string): Promise<[number, string]> {
  const response = await fetch(`${await service.url()}${processesPath()}`, {
    method,
    headers: { 'X-Auth-Token': token, 'Content-Type': 'application/json' },
    ...(body !== undefined && { body }),
  });
  return [response.status, await response.text()];
}

describe('the process', () => {
  it('lists and ends sessions, and logs caller, session and outcome but no secret and no statement', async () => {
    configure(TOKEN);
    service.start({ NODE_PASSWORD: server.control.password });
    const [victim, bystander] = [await openOne(), await openOne()];
    for (const session of [victim, bystander]) {
      runUnwatched(session, "SELECT SLEEP(600), 'card-number-4711'");
    }

    const [status, text] = await call('DELETE', TOKEN, `{"processes":[${victim.id},4000000000]}`);

    expect([status, text]).toEqual([
      200,
      `{"processes_killed":[${victim.id}],"processes_not_found":[4000000000]}`,
    ]);
    await until('the victim knows', () => victim.hasEnded());
    expect((await liveIds(server)).has(bystander.id)).toBe(true);
    expect((await call('GET', TOKEN))[1]).toContain('card-number-4711');
    expect((await call('GET', `${TOKEN}-wrong`))[0]).toBe(401);
    expect((await call('DELETE', TOKEN, '{"processes":["card-number-4711"]}'))[0]).toBe(400);
    service.signal('SIGTERM');
    expect(await service.ended()).toBe(0);

    expect(service.events('kill')).toMatchObject([
      {
        level: 'info',
        caller: 'ops',
        project_id: nodeKey.projectId,
        node_id: nodeKey.nodeId,
        session_id: victim.id.toString(),
        session_user: server.app.user,
        session_host: expect.stringMatching(/:\d+$/) as unknown,
        outcome: 'killed',
      },
    ]);
    expect(service.events('request').map(({ method, status: code }) => [method, code])).toEqual([
      ['DELETE', 200],
      ['GET', 200],
      ['GET', 401],
      ['DELETE', 400],
    ]);
    const secrets = [
      TOKEN,
      sha256(TOKEN),
      server.control.password,
      'SLEEP(600)',
      'card-number-4711',
    ];
    expect(secrets.filter((secret) => service.output.includes(secret))).toEqual([]);
  });

  it('warns once if other programs use the control account', async () => {
    configure(TOKEN);
    service.start({ NODE_PASSWORD: server.control.password });
    const message = 'control account shared with other programs';
    opened.push(await openSession(server, server.control));
    await call('GET', TOKEN);
    await call('GET', TOKEN);
    // The log is complete once the service has ended.
    service.signal('SIGTERM');
    await service.ended();
    expect(service.events(message)).toMatchObject([
      {
        level: 'warn',
        node_id: nodeKey.nodeId,
        effect: 'sessions of these programs are neither listed nor ended',
      },
    ]);
  });

  it('reloads tokens and nodes on SIGHUP, and keeps the old ones if a file is invalid', async () => {
    configure(TOKEN);
    service.start({ NODE_PASSWORD: server.control.password });
    expect((await call('GET', TOKEN))[0]).toBe(200);

    configure(OTHER_TOKEN);
    service.signal('SIGHUP');
    await until('it has reloaded', () => service.events('reloaded').length === 1);
    expect((await call('GET', TOKEN))[0]).toBe(401);
    expect((await call('GET', OTHER_TOKEN))[0]).toBe(200);

    configure(TOKEN, 'sever: {}');
    service.signal('SIGHUP');
    await until('it has refused', () => service.events('reload refused').length === 1);
    expect(service.events('reload refused')[0]).toMatchObject({
      level: 'error',
      effect: 'the old configuration stays in force',
      problems: [expect.stringContaining('sever is not a known key')],
    });
    expect((await call('GET', OTHER_TOKEN))[0]).toBe(200);

    configure(OTHER_TOKEN);
    const otherNode = nodeKey.nodeId.replace('1866', '2866');
    service.write(
      'nodes.yaml',
      readFileSync(`${service.folder}/nodes.yaml`, 'utf8').replace(nodeKey.nodeId, otherNode),
    );
    service.signal('SIGHUP');
    await until('it has reloaded again', () => service.events('reloaded').length === 2);
    expect((await call('GET', OTHER_TOKEN))[0]).toBe(404);
  });

  it('adds, drops and replaces an IAM on SIGHUP', async () => {
    const iam = new FakeKeystone();
    await iam.start();
    iam.tokens.set('of-iam', {});
    configure(TOKEN);
    service.start({ NODE_PASSWORD: server.control.password });
    expect((await call('GET', 'of-iam'))[0]).toBe(401);
    for (const [identity, status] of [
      [`  keystone: { endpoint: "${iam.endpoint}" }`, 200],
      ['', 401],
      ['  keystone: { endpoint: "http://192.0.2.1", timeout_ms: 100 }', 503],
    ] as const) {
      const before = service.events('reloaded').length;
      service.configure(server, TOKEN, { identity });
      service.signal('SIGHUP');
      await until('it has reloaded', () => service.events('reloaded').length > before);
      expect((await call('GET', 'of-iam'))[0]).toBe(status);
    }
    iam.stop();
    expect(service.events('IAM endpoint without TLS')).toHaveLength(1);
  });

  it('stops immediately on SIGTERM although a client keeps its connection open', async () => {
    // Both timeouts are longer than the test.
    service.configure(server, TOKEN, {
      server: 'keep_alive_timeout_ms: 600000',
      service: 'limits: { request_timeout_ms: 600000 }',
    });
    service.start({ NODE_PASSWORD: server.control.password });
    // fetch() keeps the connection open.
    await call('GET', TOKEN);
    service.signal('SIGTERM');
    expect(await service.ended()).toBe(0);
    expect(service.events('stopped')).toHaveLength(1);
  });

  it('prints all problems of both files together, and exits with 78', async () => {
    configure(TOKEN, 'audit: { file: nowhere/audit.jsonl }');
    service.start();

    expect(await service.ended()).toBe(78);
    expect(service.output).toBe(
      `Invalid configuration:
  ${service.folder}/service.yaml:4:16: audit.file must be in a folder that exists and can be written to, not ${service.folder}/nowhere (ENOENT: no such file or directory)
  ${service.folder}/nodes.yaml:9:15: nodes[0].password needs the variable NODE_PASSWORD, which is not set
`,
    );
  });

  it('is ready while the audit is writable, and reopens a rotated audit file on SIGHUP', async () => {
    configure(TOKEN, 'audit: { file: audit.jsonl }');
    service.start({ NODE_PASSWORD: server.control.password });
    const probe = async (path: string): Promise<unknown[]> => {
      const response = await fetch((await service.url()) + path);
      return [response.status, await response.json()];
    };
    expect(await probe('/healthz')).toEqual([200, { status: 'ok' }]);
    expect(await probe('/readyz')).toEqual([200, { ready: true, nodes: 1, audit: 'writable' }]);
    const kill = async (): Promise<bigint> => {
      const { id } = await openOne();
      expect((await call('DELETE', TOKEN, `{"processes":[${id}]}`))[0]).toBe(200);
      return id;
    };
    const file = `${service.folder}/audit.jsonl`;
    const read = (name: string): string => readFileSync(name, 'utf8');
    const first = await kill();
    renameSync(file, `${file}.1`);
    const second = await kill();
    service.signal('SIGHUP');
    await until('it is there anew', () => existsSync(file) && read(file).includes('reopened'));
    const third = await kill();

    service.signal('SIGTERM');
    expect(await service.ended()).toBe(0);
    expect(read(`${file}.1`).match(/"id":\d+,"outcome":"killed"/g)).toEqual(
      [first, second].map((id) => `"id":${id},"outcome":"killed"`),
    );
    expect(read(file)).toMatch(new RegExp(`"id":${third},"outcome":"killed"`));
    const lines = (read(`${file}.1`) + read(file)).trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { record: string }).record)).toEqual(
      'started intent outcome intent outcome reopened intent outcome'.split(' '),
    );
    expect(service.events('request').map(({ path }) => path)).not.toContain('/readyz');
  });

  it('reports at /readyz why it is not ready while the audit cannot be written', async () => {
    configure(TOKEN, 'audit: { file: /dev/full }');
    service.start({ NODE_PASSWORD: server.control.password });
    const response = await fetch(`${await service.url()}/readyz`);
    expect([response.status, await response.json()]).toEqual([
      503,
      { ready: false, nodes: 1, audit: 'ENOSPC' },
    ]);
    const session = await openOne();
    expect((await call('DELETE', TOKEN, `{"processes":[${session.id}]}`))[0]).toBe(503);
    expect((await liveIds(server)).has(session.id)).toBe(true);
    expect((await call('GET', TOKEN))[0]).toBe(200);
    expect(service.events('audit not writable')).toMatchObject([
      { level: 'error', file: '/dev/full', effect: 'kills are refused with 503' },
    ]);
  });

  it('reports at /readyz that no audit is configured', async () => {
    configure(TOKEN);
    service.start({ NODE_PASSWORD: server.control.password });
    const response = await fetch(`${await service.url()}/readyz`);
    expect([response.status, await response.json()]).toEqual([
      200,
      { ready: true, nodes: 1, audit: 'off' },
    ]);
    expect(service.events('no audit configured')).toMatchObject([
      { level: 'warn', effect: 'kills are recorded in this log only' },
    ]);
  });

  it('prints which file is missing and how to make one, and exits with 78', async () => {
    const missing = 'cannot be read (ENOENT: no such file or directory)';
    const file = `${service.folder}/service.yaml`;
    service.start();
    expect(await service.ended()).toBe(78);
    expect(service.output).toBe(
      `Invalid configuration:\n  ${file}: ${missing}: \`session-control init ${service.folder}\` writes a configuration; --config FILE or the variable CONFIG_FILE names another file\n`,
    );

    configure(TOKEN);
    rmSync(`${service.folder}/nodes.yaml`);
    service.start();
    expect(await service.ended()).toBe(78);
    expect(service.output).toBe(
      `Invalid configuration:\n  ${service.folder}/nodes.yaml: ${missing}: the key registry.file of ${file} names it\n`,
    );
  });

  it('suggests no new configuration if it cannot read the file', async () => {
    service.start({ CONFIG_FILE: service.folder });
    expect(await service.ended()).toBe(78);
    expect(service.output).toBe(
      `Invalid configuration:\n  ${service.folder}: cannot be read (EISDIR: illegal operation on a directory)\n`,
    );
  });

  it('logs that its port is taken, and exits with 1', async () => {
    configure(TOKEN);
    const first = new ServiceProcess();
    try {
      service.start({ NODE_PASSWORD: 'x' });
      const { port } = new URL(await service.url());
      for (const name of ['service.yaml', 'nodes.yaml']) {
        first.write(
          name,
          readFileSync(`${service.folder}/${name}`, 'utf8').replace('port: 0', `port: ${port}`),
        );
      }
      first.start({ NODE_PASSWORD: 'x' });
      expect(await first.ended()).toBe(1);
      expect(first.events('cannot listen')).toMatchObject([{ error: { code: 'EADDRINUSE' } }]);
    } finally {
      first.remove();
    }
  });

  it.each(['server', 'metrics'])(
    'reports a taken port of %s as text in one line without a stack',
    async (which) => {
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      const { port } = other.address() as AddressInfo;
      try {
        configure(TOKEN, `log: { format: text }\nmetrics: { port: 0 }`);
        const file = readFileSync(`${service.folder}/service.yaml`, 'utf8');
        const taken = new RegExp(`(?<=${which}: \\{ port: )0`);
        service.write('service.yaml', file.replace(taken, String(port)));
        service.start({ NODE_PASSWORD: 'x' });
        expect(await service.ended()).toBe(1);
        const lines = service.output.split('\n').filter((line) => line.includes('EADDRINUSE'));
        expect(lines).toEqual([
          expect.stringMatching(
            `ERROR cannot listen host=127.0.0.1 port=${port} error="listen EADDRINUSE: address already in use 127.0.0.1:${port}"$`,
          ),
        ]);
        expect(service.output).not.toMatch(/\bat /);
      } finally {
        other.close();
      }
    },
  );

  it('exits although its store is connected if its port is taken', async () => {
    const store = createServer((socket) => {
      socket.on('error', () => undefined).on('data', () => socket.write('+OK\r\n'));
    }).listen(0, '127.0.0.1');
    await once(store, 'listening');
    const { port } = store.address() as AddressInfo;
    try {
      configure(TOKEN, `limits: { store: "redis://127.0.0.1:${port}" }`);
      const taken = readFileSync(`${service.folder}/service.yaml`, 'utf8');
      service.write('service.yaml', taken.replace('port: 0', `port: ${port}`));
      service.start({ NODE_PASSWORD: 'x' });
      expect(await service.ended()).toBe(1);
      expect(service.events('cannot listen')).toMatchObject([{ port }]);
    } finally {
      store.close();
    }
  });

  it('survives a SIGHUP during its start, and reloads afterwards', async () => {
    configure(TOKEN);
    const file = `${service.folder}/service.yaml`;
    renameSync(file, `${file}.whole`);
    execFileSync('mkfifo', [file]);
    service.start({ NODE_PASSWORD: 'x' });
    // Resolves once the service begins to read the file.
    const pipe = await open(file, 'w');
    renameSync(`${file}.whole`, file);
    service.signal('SIGHUP');
    await pipe.writeFile(readFileSync(file));
    await pipe.close();

    await service.url();
    await until('it has reloaded', () => service.events('reloaded').length === 1);
    expect(service.exitCode).toBeUndefined();
  });
});

describe('the examples in config/', () => {
  it('start the service with the variables of .env.example', async () => {
    const lines = readFileSync('.env.example', 'utf8').split('\n');
    const variables = lines.filter((line) => /^\w+=/.test(line)).map((line) => line.split('=', 2));
    for (const name of ['service.yaml', 'nodes.yaml']) {
      service.write(
        name,
        readFileSync(`config/${name}`, 'utf8')
          .replace('port: 8080', 'port: 0')
          .replace('format: text', 'format: json'),
      );
    }

    service.start(Object.fromEntries(variables) as NodeJS.ProcessEnv);

    await service.url();
    expect(service.events('listening')).toMatchObject([{ host: '127.0.0.1', nodes: 2 }]);
    expect((await call('GET', 'trial-token-wrong'))[0]).toBe(401);
    const elsewhere = processesPath({ ...nodeKey, nodeId: `${'0'.repeat(32)}no07` });
    const response = await fetch(`${await service.url()}${elsewhere}`, {
      headers: { 'X-Auth-Token': 'trial-token' },
    });
    expect(response.status).toBe(404);
  });
});
