import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  openSession,
  openSessions,
  runUnwatched,
  type ClientSession,
} from '../support/client-session.ts';
import { nodeKey } from '../support/ids.ts';
import { asRoot, liveIds, processList, servers, type Server } from '../support/server.ts';
import { answer, NO_NODES, ScriptedApi } from '../support/scripted-api.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { Sessionctl } from '../support/sessionctl.ts';
import { ACCESS_KEY } from '../support/sign.ts';
import { sha256 } from '../support/service.ts';
import { until } from '../support/until.ts';
import { listed, SLOW_PATTERN, SLOW_TEXT } from './sessions.ts';

const [shared] = servers as [Server];
/** The shared server with an account of its own for this file: the tests end all sessions of that account. */
const clients = `sc_cli_${randomBytes(4).toString('hex')}`;
const server: Server = { ...shared, app: { user: clients, password: clients } };
const service = new ServiceProcess();
const opened: ClientSession[] = [];
let sessionctl: Sessionctl;
let environment: Record<string, string>;

beforeAll(async () => {
  await asRoot(server, async (root) => {
    await root.query(`CREATE USER ${clients}@'%' IDENTIFIED BY '${clients}'`);
    await root.query(`CREATE DATABASE ${clients}`);
    await root.query(`GRANT ALL ON ${clients}.* TO ${clients}@'%'`);
  });
});
afterAll(async () => {
  await asRoot(server, async (root) => {
    await root.query(`DROP USER ${clients}@'%'`);
    await root.query(`DROP DATABASE ${clients}`);
  });
});
beforeAll(async () => {
  service.configure(server, 'token-of-ops', {
    service: 'limits: { requests_per_minute: 60000, max_wait_seconds: 2 }',
    identity: `
    - { sha256: ${sha256('token-of-a-reader')}, user: reader, project_id: ${nodeKey.projectId}, actions: ["gaussdbformysql:instance:listProcesses"] }
  access_keys:
    - { access: ${ACCESS_KEY.access}, secret: "${ACCESS_KEY.secret}", user: signer, project_id: ${nodeKey.projectId}, actions: ["*"] }`,
  });
  service.start({ NODE_PASSWORD: server.control.password });
  sessionctl = new Sessionctl();
  environment = {
    SESSIONCTL_ENDPOINT: await service.url(),
    SESSIONCTL_PROJECT: nodeKey.projectId,
    SESSIONCTL_INSTANCE: nodeKey.instanceId,
    SESSIONCTL_NODE: nodeKey.nodeId,
    SESSIONCTL_TOKEN: 'token-of-ops',
  };
});
afterEach(async () => {
  sessionctl.closeTerminals();
  await asRoot(server, async (root) => {
    for (const session of opened.splice(0)) {
      // The test may have ended the session already.
      await root.query(`KILL ${session.id}`).catch(() => undefined);
      session.close();
    }
  });
});
afterAll(() => {
  service.remove();
  sessionctl.remove();
});

const own = `--user ${server.app.user}`;

async function open(sql?: string): Promise<ClientSession> {
  const session = await openSession(server);
  opened.push(session);
  if (sql !== undefined) runUnwatched(session, sql);
  return session;
}

function run(line: string, more: Readonly<Record<string, string>> = {}) {
  return sessionctl.run(line, { ...environment, ...more });
}

function terminal(line: string, columns?: number) {
  return sessionctl.open(line, environment, columns);
}

async function isAlive({ id }: ClientSession): Promise<boolean> {
  return (await liveIds(server)).has(id);
}

/** Waits until the process list has a statement with this marker, or has none if `isWanted` is false. */
async function isRunning(marker: string, isWanted = true): Promise<void> {
  await until(`${marker} is ${isWanted ? '' : 'not '}running`, async () => {
    const rows = await processList(server);
    return rows.some(({ Info: info }) => String(info).includes(marker)) === isWanted;
  });
}

describe('sessionctl list', () => {
  it('shows a coloured table that fits the terminal and escapes the control characters of a statement', async () => {
    const { id } = await open(`SELECT SLEEP(600), '\x1b[2Jcleared\x9b31m', '${'x'.repeat(200)}'`);
    await isRunning('cleared');

    const screen = terminal(`sessionctl list ${own} --info '*cleared*'`, 100);

    expect(await screen.ended()).toBe(0);
    expect(screen.shown).toMatch(/\x1b\[1mID/);
    const row = screen.shown.split('\r\n').find((line) => line.startsWith(id.toString())) ?? '';
    expect(row).toContain(server.app.user);
    expect(row).toContain("SELECT SLEEP(600), '\\x1b");
    expect(row.length).toBeLessThanOrEqual(100);
    expect(row).not.toMatch(/[\x1b\x9b]/);
  });

  it('neither colours nor cuts its output without a terminal, and uses no colour with NO_COLOR', async () => {
    await open(`SELECT SLEEP(600), '${'plain'.repeat(14)}'`);
    await isRunning('plain');

    const { output, code } = await run(`sessionctl list ${own} --command Query`, { CI: 'true' });
    const screen = sessionctl.open('sessionctl list', { ...environment, NO_COLOR: '1' });

    expect(code).toBe(0);
    expect(output).not.toContain('\x1b');
    expect(output).toContain('plain'.repeat(14));
    expect(await screen.ended()).toBe(0);
    expect(screen.shown).not.toContain('\x1b');
  });

  it('joins the pages of a long list, sorts, filters and limits', async () => {
    opened.push(...(await openSessions(server, 130)));
    const ids = opened.map(({ id }) => Number(id)).sort((one, other) => one - other);

    const { output } = await run(`sessionctl list ${own} --command Sleep -o json`);
    const first = await run(`sessionctl list ${own} --sort=-id --limit 2 -o ids`);

    expect((JSON.parse(output) as { id: number }[]).map(({ id }) => id)).toEqual(ids);
    expect(first.output).toBe(`${ids.slice(-2).reverse().join('\n')}\n`);
  });

  it('ends at Ctrl-C while a filter runs', async () => {
    // A node shows no statement that is long enough to keep a filter busy.
    const api = new ScriptedApi();
    await api.start();
    api.nodes = NO_NODES;
    const processes = [{ ...listed({ info: SLOW_TEXT }), id: 7, node: undefined }];
    api.acts = [answer(200, JSON.stringify({ processes, total_count: 1 }))];
    const screen = sessionctl.open(`sessionctl list --info '${SLOW_PATTERN}'`, {
      ...environment,
      SESSIONCTL_ENDPOINT: api.endpoint,
    });
    await until('the list is read', () => api.came.length > 0);

    // A Ctrl-C right before the filter starts would wait until the filter ends, so a person presses it again.
    const press = (): boolean => {
      if (screen.code === undefined) screen.type('\x03');
      return screen.code !== undefined;
    };
    await until('it has ended', press, 60_000, 300);
    const code = await screen.ended();
    api.stop();
    expect([code, screen.shown]).toEqual([130, expect.stringContaining('Interrupted')]);
  });

  it('with --watch redraws until Ctrl-C', async () => {
    const screen = terminal(`sessionctl list ${own} --watch 1s`);
    await screen.shows('STATEMENT');
    const { id } = await open();
    await screen.shows(new RegExp(`\\n${id}  `));

    screen.type('\x03');

    expect(await screen.ended()).toBe(0);
  });

  it('prints no error if its reader closes the pipe', async () => {
    opened.push(...(await openSessions(server, 20)));
    const { messages, output } = await run(
      `set -o pipefail; sessionctl list ${own} -o yaml 2>&1 | (read -r line; echo "$line"); echo "$?"`,
    );
    expect([messages, output]).toEqual(['', expect.stringMatching(/^- node: "\w+"\n0\n$/)]);
  });
});

describe('sessionctl on a full disk', () => {
  it('reports that the output cannot be written, even after a kill that worked', async () => {
    const victim = await open('SELECT SLEEP(600)');
    const list = await run(`sessionctl list ${own} > /dev/full`);
    const kill = await run(`sessionctl kill ${victim.id} --yes -o json > /dev/full`);
    for (const { code, messages } of [list, kill]) {
      expect([code, messages]).toEqual([74, expect.stringMatching(/cannot be written: ENOSPC/)]);
    }
    await until('the victim is gone', async () => !(await isAlive(victim)));
  });
});

describe('sessionctl kill', () => {
  it('shows the sessions, asks, ends them, and waits until they are gone', async () => {
    const [victim, bystander] = [await open('SELECT SLEEP(600)'), await open()];
    const screen = terminal(`sessionctl kill ${victim.id} --wait 10s --reason 'runaway report'`);
    await screen.shows('End this session on node');
    expect(screen.shown).toContain(server.app.user);
    expect(await isAlive(victim)).toBe(true);

    screen.type('y\r');

    expect(await screen.ended()).toBe(0);
    expect(screen.shown).toContain('1 killed (1 gone), 0 not found.');
    expect([await isAlive(victim), await isAlive(bystander)]).toEqual([false, true]);
  });

  it('ends no session if the answer is no, Return or Ctrl-C', async () => {
    const victim = await open();
    const codes: (number | null)[] = [];
    for (const keys of ['n\r', '\r', '\x03']) {
      const screen = terminal(`sessionctl kill ${victim.id}`);
      await screen.shows('End this session on node');
      screen.type(keys);
      codes.push(await screen.ended());
    }
    expect(codes).toEqual([5, 5, 130]);
    expect(await isAlive(victim)).toBe(true);
  });

  it('skips and reports a session that has changed since it was shown', async () => {
    const victim = await open('SELECT SLEEP(600) /* changing */');
    await isRunning('changing');
    const screen = terminal(`sessionctl kill ${own} --info '*changing*'`);
    await screen.shows('End this session on node');
    await asRoot(server, (root) => root.query(`KILL QUERY ${victim.id}`));
    await isRunning('changing', false);

    screen.type('y\r');

    expect(await screen.ended()).toBe(3);
    expect(screen.shown).toContain(`Skipped, because it has ended or changed: ${victim.id}`);
    expect(await isAlive(victim)).toBe(true);
  });

  it('does not send an id that is not listed, however large, and exits with 3', async () => {
    const victim = await open();
    const { code, output } = await run(
      `sessionctl kill --yes ${victim.id} 9223372036854775807 9007199254740993`,
    );
    expect(code).toBe(3);
    expect(output.replace(' (1 gone)', '')).toBe(
      `1 killed, 2 not found.
Not found: 9223372036854775807, no session has this id
Not found: 9007199254740993, no session has this id
`,
    );
    expect(await isAlive(victim)).toBe(false);
  });

  it('reads ids from a pipe and asks on the terminal', async () => {
    const victims = [await open(), await open()];
    const screen = terminal(`sessionctl list ${own} -o ids | sessionctl kill -`);
    await screen.shows('End these 2 sessions on node');
    screen.type('y\r');
    expect(await screen.ended()).toBe(0);
    for (const victim of victims) expect(await isAlive(victim)).toBe(false);
  });

  it('without a terminal ends no session unless --yes is given', async () => {
    const victim = await open();
    const unasked = await run(`echo ${victim.id} | sessionctl kill -`);
    expect([unasked.code, unasked.messages]).toEqual([64, expect.stringContaining('Use --yes')]);
    expect(await isAlive(victim)).toBe(true);

    const { code, output } = await run(`echo ${victim.id} | sessionctl kill - --yes -o json`);

    expect(code).toBe(0);
    expect(JSON.parse(output)).toMatchObject({
      dry_run: false,
      sessions: [
        {
          node: nodeKey.nodeId,
          id: Number(victim.id),
          outcome: expect.stringMatching(/^(gone|killed)$/),
        },
      ],
      request_ids: [expect.stringMatching(/^[0-9a-f]{32}$/)],
    });
  });

  it('with --dry-run shows the sessions that it would end, without a question', async () => {
    const victim = await open();
    const { code, output } = await run(`sessionctl kill ${own} --dry-run`);
    expect([code, output]).toEqual([0, '1 would be killed, 0 not found.\n']);
    expect(await isAlive(victim)).toBe(true);
  });

  it('refuses to end more than --max sessions, and picks all sessions with --all', async () => {
    const victims = [await open(), await open()];
    const tooMany = await run(`sessionctl kill ${own} --yes --max 1`);
    // Other tests have many sessions on the same server.
    const all = await run('sessionctl kill --all --max 10000 --dry-run -o json');
    expect([tooMany.code, tooMany.messages]).toEqual([
      64,
      expect.stringContaining('2 sessions match'),
    ]);
    const ended = victims.map(({ id }): unknown =>
      expect.objectContaining({ id: Number(id), outcome: 'would_kill' }),
    );
    expect(JSON.parse(all.output)).toMatchObject({
      dry_run: true,
      sessions: expect.arrayContaining(ended) as unknown,
    });
    for (const victim of victims) expect(await isAlive(victim)).toBe(true);
  });

  it('waits for a rollback longer than the limit of the service, and names the session', async () => {
    const table = `${server.app.user}.rolled_back_by_sessionctl`;
    const victim = await open();
    // With the index, the rollback lasts for several reads of the rows that are left.
    const columns = 'n INT, s CHAR(200), KEY (n)';
    await victim.connection.query(`CREATE TABLE ${table} (${columns}) ENGINE=InnoDB`);
    await victim.connection.query('START TRANSACTION');
    await victim.connection.query(`INSERT INTO ${table} VALUES (1, REPEAT('x', 200))`);
    for (let doubled = 0; doubled < 19; doubled += 1) {
      await victim.connection.query(`INSERT INTO ${table} SELECT * FROM ${table}`);
    }

    const screen = terminal(`sessionctl kill ${victim.id} --yes --wait 60s`);

    expect(await screen.ended()).toBe(0);
    expect(screen.shown).not.toContain('Still listed: none');
    // MySQL removes a session from the list before its rollback.
    if (server.flavour === 'mariadb') {
      expect(screen.shown).toMatch(/: rolling back, [\d.]+ [KM] rows left/);
      expect(screen.shown).toMatch(/ rows left, about \d+s\. Still listed: \d+ /);
      expect(screen.shown).toContain('1 killed (1 gone), 0 not found.');
    } else expect(screen.shown).toMatch(/1 killed \(1 (gone|rolling back)\), 0 not found\./);
    expect(await isAlive(victim)).toBe(false);
  });
});

describe('sessionctl', () => {
  it.each([
    ['sessionctl kill', 64, 'The sessions to end are missing.'],
    ['sessionctl frobnicate', 64, "unknown command 'frobnicate'"],
    ['sessionctl list --token wrong', 77, 'Incorrect IAM authentication'],
    ['sessionctl kill 12 --yes --endpoint http://127.0.0.1:9', 69, 'Check the endpoint'],
    [`sessionctl list --node ${'0'.repeat(32)}no07`, 1, 'Check --instance and --node'],
    [`sessionctl list --project ${'0'.repeat(32)}`, 77, 'Check --project'],
    ['sessionctl history', 1, /its operator can set audit\.file\. \([^)]*\)$/],
  ])('exits for `%s` with %d and one line', async (line, code, message) => {
    const ended = await run(line);
    const lines = ended.messages.split('\n').filter((text) => text.startsWith('sessionctl: '));
    expect([ended.code, ended.output, lines]).toEqual([code, '', [expect.stringMatching(message)]]);
  });

  it('prints the request id and the message of the service in Chinese', async () => {
    const { messages } = await run('sessionctl list --token wrong --language zh-cn');
    expect(messages).toMatch(/IAM认证信息错误.*request [0-9a-f]{32}/);
  });

  it('exits with 77 for a kill with a token that may only list', async () => {
    const victim = await open();
    const { code, messages } = await run(`sessionctl --token token-of-a-reader kill ${own} --yes`);
    expect([code, messages]).toEqual([77, expect.stringContaining('DBS.200010')]);
    expect(await isAlive(victim)).toBe(true);
  });

  it('signs with an access key', async () => {
    const victim = await open();
    const { code, messages } = await run(`sessionctl kill ${own} --yes --reason '失控的报表'`, {
      SESSIONCTL_TOKEN: '',
      SESSIONCTL_ACCESS_KEY: ACCESS_KEY.access,
      SESSIONCTL_SECRET_KEY: ACCESS_KEY.secret,
    });
    expect(code).toBe(0);
    expect(messages).not.toMatch(/^sessionctl: (?!the service keeps no audit)/m);
    expect(await isAlive(victim)).toBe(false);
  });

  it('shows the capabilities of the node', async () => {
    const { code, output } = await run('sessionctl capabilities');
    expect(code).toBe(0);
    expect(output).toMatch(/reachable +yes/);
    expect(output).toContain(server.flavour);
  });
});

describe('the client library', () => {
  it('is in the package with its types, and runs the example program', async () => {
    const [victim, bystander] = [await open('SELECT SLEEP(600)'), await open()];
    await until('it has run for a second', async () =>
      (await processList(server)).some(
        ({ Id: id, Time: time }) => String(id) === victim.id.toString() && Number(time) >= 1,
      ),
    );
    const program = sessionctl.install('examples/end-long-queries.ts');

    const { code, output, messages } = await run(`${program} ${server.app.user} 1`);

    expect([code, messages]).toEqual([0, '']);
    expect(output).toBe(`${victim.id} gone\n1 killed, 0 left alone, 0 to look at\n`);
    expect([await isAlive(victim), await isAlive(bystander)]).toEqual([false, true]);
  });
});
