import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSession, runUnwatched, type ClientSession } from '../support/client-session.ts';
import { nodeKey } from '../support/ids.ts';
import { asRoot, processList, servers, type Server } from '../support/server.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { Sessionctl } from '../support/sessionctl.ts';
import { until } from '../support/until.ts';
import { FullScreen } from './full-screen.ts';

const [shared] = servers as [Server];
/** The shared server with an account of its own for this file. */
const clients = `sc_top_${randomBytes(4).toString('hex')}`;
const server: Server = { ...shared, app: { user: clients, password: clients } };
const opened: ClientSession[] = [];
const services: ServiceProcess[] = [];
let sessionctl: Sessionctl;
let service: ServiceProcess;
let environment: Record<string, string>;
beforeAll(async () => {
  await asRoot(server, async (root) => {
    await root.query(`CREATE USER ${clients}@'%' IDENTIFIED BY '${clients}'`);
    for (const name of [clients, `${clients}_中文`]) {
      await root.query(`CREATE DATABASE \`${name}\``);
      await root.query(`GRANT ALL ON \`${name}\`.* TO ${clients}@'%'`);
    }
  });
  sessionctl = new Sessionctl();
  service = launch('');
  environment = await environmentOf(service);
});
afterEach(async () => {
  sessionctl.closeTerminals();
  await asRoot(server, async (root) => {
    for (const one of opened.splice(0)) {
      await root.query(`KILL ${one.id}`).catch(() => undefined);
      one.close();
    }
  });
});
afterAll(async () => {
  sessionctl.remove();
  for (const one of services) one.remove();
  await asRoot(server, async (root) => {
    await root.query(`DROP USER ${clients}@'%'`);
    for (const name of [clients, `${clients}_中文`]) await root.query(`DROP DATABASE \`${name}\``);
  });
});

/** Starts a service with these limits, and more settings if given. */
function launch(limits: string, more = ''): ServiceProcess {
  const one = new ServiceProcess();
  services.push(one);
  one.configure(server, 'token-of-ops', { service: `limits: { ${limits} }\n${more}` });
  one.start({ NODE_PASSWORD: server.control.password });
  return one;
}

async function environmentOf(one: ServiceProcess): Promise<Record<string, string>> {
  return {
    SESSIONCTL_ENDPOINT: await one.url(),
    SESSIONCTL_PROJECT: nodeKey.projectId,
    SESSIONCTL_INSTANCE: nodeKey.instanceId,
    SESSIONCTL_NODE: nodeKey.nodeId,
    SESSIONCTL_TOKEN: 'token-of-ops',
  };
}

async function session(sql?: string): Promise<ClientSession> {
  const one = await openSession(server);
  opened.push(one);
  if (sql !== undefined) runUnwatched(one, sql);
  return one;
}

/** Keeps the settings of the terminal before and after, and the id of the process. */
function kept(line: string): string {
  return `stty -a > before; sh -c 'echo $$ > pid; exec ${line}'; code=$?; stty -a > after; exit $code`;
}

function textOf(name: string): string {
  return readFileSync(join(sessionctl.folder, name), 'utf8').trim();
}

function open(line: string, more: Readonly<Record<string, string>> = {}): FullScreen {
  return new FullScreen(sessionctl, kept(line), { ...environment, ...more });
}

const TOP = `sessionctl top --interval 1s --user ${clients}`;

describe('sessionctl top restores the terminal', () => {
  async function expectRestored({ terminal }: FullScreen): Promise<void> {
    await until('the settings are read', () => terminal.code !== undefined);
    const { shown } = terminal;
    for (const [on, off] of [
      ['\x1b[?1049h', '\x1b[?1049l'],
      ['\x1b[?25l', '\x1b[?25h'],
      ['\x1b[?7l', '\x1b[?7h'],
    ] as const) {
      expect(shown.lastIndexOf(off)).toBeGreaterThan(shown.lastIndexOf(on));
    }
    expect(textOf('after')).toBe(textOf('before'));
  }

  it.each([
    ['q', 0],
    ['\x03', 130],
    ['jj?\x1b/abc\x03', 130],
  ])('after the keys %j', async (keys, code) => {
    const screen = open(TOP);
    await screen.shows(/sorted by/);
    expect(await screen.isAlternate()).toBe(true);
    screen.type(keys);
    expect(await screen.ended()).toBe(code);
    await expectRestored(screen);
    expect(await screen.isAlternate()).toBe(false);
  });

  it.each([
    ['TERM', 143],
    ['HUP', 129],
    ['INT', 130],
  ])('after SIG%s', async (name, code) => {
    const screen = open(TOP);
    await screen.shows(/sorted by/);
    process.kill(Number(textOf('pid')), `SIG${name}`);
    expect(await screen.ended()).toBe(code);
    await expectRestored(screen);
  });

  it('never, but ends, if the terminal is gone', async () => {
    const screen = open(TOP);
    await screen.shows(/sorted by/);
    const pid = Number(textOf('pid'));
    const isRunning = (): boolean => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    expect(isRunning()).toBe(true);
    screen.terminal.close();
    await until('the process has ended', () => !isRunning());
  });

  it('after an error that nobody catches, and shows the error', async () => {
    const file = join(sessionctl.folder, 'fault.mjs');
    writeFileSync(file, "process.on('SIGUSR2', () => { throw new Error('a fault'); });");
    const screen = open(TOP, { NODE_OPTIONS: `--import ${file}` });
    await screen.shows(/sorted by/);
    process.kill(Number(textOf('pid')), 'SIGUSR2');
    expect(await screen.ended()).toBe(1);
    await expectRestored(screen);
    const { shown } = screen.terminal;
    expect(shown.lastIndexOf('a fault')).toBeGreaterThan(shown.lastIndexOf('\x1b[?1049l'));
  });

  it('after the service denies access, and shows the error', async () => {
    const own = launch('');
    const screen = new FullScreen(sessionctl, kept(TOP), await environmentOf(own));
    await screen.shows(/sorted by/);
    const text = readFileSync(join(own.folder, 'service.yaml'), 'utf8');
    own.write(
      'service.yaml',
      text.replace('actions: ["*"]', 'actions: ["gaussdbformysql:instance:get"]'),
    );
    own.signal('SIGHUP');
    expect(await screen.ended()).toBe(77);
    await expectRestored(screen);
    expect(screen.terminal.shown).toMatch(/\x1b\[\?1049l[^]*sessionctl: .*Check --project/);
  });

  it('after it has lost the service and found it again', async () => {
    const own = launch('');
    const screen = new FullScreen(sessionctl, kept(TOP), await environmentOf(own));
    const { id } = await session();
    await screen.shows(new RegExp(`^.{3} *${id} `, 'm'));
    const port = new URL(await own.url()).port;

    await own.stop();

    const rows = await screen.shows(/^Next attempt in \d+ s: http\S+ cannot be reached/m);
    expect(rows.join('\n')).toMatch(new RegExp(`^.{3} *${id} `, 'm'));
    expect(screen.terminal.code).toBeUndefined();
    const text = readFileSync(join(own.folder, 'service.yaml'), 'utf8');
    own.write('service.yaml', text.replace('port: 0', `port: ${port}`));
    own.start({ NODE_PASSWORD: server.control.password });
    await screen.showsRows('no trouble', (now) => !now.join('\n').includes('cannot be reached'));
    await own.stop();
    await screen.shows(/cannot be reached/);
    screen.type('q');
    expect(await screen.ended()).toBe(0);
    await expectRestored(screen);
  });
});

describe('sessionctl top on a terminal', () => {
  it('has no colours with NO_COLOR, and marks the cursor all the same', async () => {
    await session();
    const screen = open(TOP, { NO_COLOR: '1' });
    await screen.shows(/^> {2}/m);
    expect(screen.terminal.shown).not.toMatch(/\x1b\[[\d;:]*m/);
    const coloured = open(TOP);
    await coloured.shows(/^> {2}/m);
    expect(coloured.terminal.shown).toMatch(/\x1b\[7m>/);
  });

  it('draws also where CI is set', async () => {
    const screen = open(TOP, { CI: 'true' });
    await screen.shows(/sorted by/);
  });

  it.each(['dumb', ''])('is refused if TERM is "%s"', async (type) => {
    const screen = open(TOP, { TERM: type, NO_COLOR: '1' });
    expect(await screen.ended()).toBe(64);
    expect(screen.terminal.shown).toMatch(
      new RegExp(
        `^sessionctl: top cannot draw on a terminal of the type "${type}" \\(TERM\\)\\. Use \`sessionctl list --watch 2s\`\\.\\r\\n$`,
      ),
    );
  });

  it.each([`echo q | ${TOP}`, `{ ${TOP}; echo $? > code; } | cat; exit $(cat code)`])(
    'is refused without a terminal: %s',
    async (line) => {
      const terminal = sessionctl.open(`cd ${sessionctl.folder}; ${line}`, environment);
      expect(await terminal.ended()).toBe(64);
      expect(terminal.shown).toContain('top needs a terminal for its input and its output.');
      expect(terminal.shown).not.toContain('\x1b[?1049h');
    },
  );

  it('escapes the control characters of a statement', async () => {
    await session("SELECT SLEEP(600), '\x1b[2Jcleared\x1b]0;title\x07\x9b31m\r\n\u202e<<'");
    const screen = new FullScreen(sessionctl, TOP, environment, [200, 24]);
    const rows = await screen.shows('cleared');
    expect(rows.find((row) => row.includes('cleared'))).toContain(
      "SELECT SLEEP(600), '\\x1b[2Jcleared\\x1b]0;title\\x07\\x9b31m \\u{202e}<<'",
    );
    expect(screen.terminal.shown).not.toMatch(/\x1b\[2Jcleared|\x1b\]|\x07|\x9b|\u202e/);
  });

  it('keeps the columns aligned beside wide characters', async () => {
    const wide = await session();
    await wide.connection.query(`USE \`${clients}_中文\``);
    const narrow = await session();
    const screen = new FullScreen(sessionctl, TOP, environment, [200, 24]);
    const rows = await screen.shows(new RegExp(`^.{3} *${wide.id} .*中文`, 'm'));
    const placeOf = ({ id }: ClientSession): number => {
      const row = rows.find((text) => new RegExp(`^.{3} *${id} `).test(text)) ?? '';
      // Each of the wide characters takes two columns.
      return row.indexOf('Sleep') + (row.match(/[中文]/gu)?.length ?? 0);
    };
    expect(placeOf(narrow)).toBeGreaterThan(0);
    expect(placeOf(wide)).toBe(placeOf(narrow));
  });

  it('fills each size, never scrolls, and draws again after a resize', async () => {
    for (let count = 0; count < 30; count += 1) await session();
    const screen = new FullScreen(sessionctl, TOP, environment, [80, 24]);
    const small = await screen.shows(/^30 sessions/m);
    expect(small).toHaveLength(24);
    expect(small[0]).toMatch(/every 1 s/);
    expect(small.filter((row) => row.includes(' 127.0.0.1 '))).toHaveLength(18);
    expect(small.at(-1)).toMatch(/^\? help .*K end$/);

    await screen.resize(200, 60);
    const large = await screen.showsRows('all sessions', (rows) => /K end$/.test(rows[59] ?? ''));
    expect(large[0]).toMatch(/every 1 s/);
    expect(large.filter((row) => row.includes(' 127.0.0.1:'))).toHaveLength(30);

    await screen.resize(60, 12);
    const tiny = await screen.showsRows('the keys below', (rows) =>
      /^\? help/.test(rows[11] ?? ''),
    );
    expect(tiny[0]).toMatch(/every 1 s/);
    expect(Math.max(...tiny.map((row) => row.length))).toBeLessThanOrEqual(60);
    // Another program has written to the terminal.
    await screen.spoil('spoilt');
    screen.type('\x0c');
    await screen.showsRows('its lines only', (rows) => !rows.join('\n').includes('spoilt'));

    await screen.resize(20, 4);
    screen.type('q');
    expect(await screen.ended()).toBe(0);
  });

  it('stays as it is while it is paused, except for r', async () => {
    const { id } = await session();
    const screen = open(TOP);
    await screen.shows(new RegExp(`^> {2} *${id} `, 'm'));
    screen.type('p');
    await screen.shows('PAUSED');
    const { id: later } = await session();
    const reads = (): number =>
      service.events('request').filter(({ path }) => String(path).includes('/processes')).length;
    const before = await screen.rows();
    const readsBefore = reads();
    // Another top reads meanwhile, twice: this one would have read, too.
    const other = open(TOP);
    await other.shows(new RegExp(`^.{3} *${later} `, 'm'));
    const otherFrom = reads();
    await until('the other one has read again', () => reads() >= otherFrom + 2);
    other.type('q');
    await other.ended();
    expect(reads() - readsBefore).toBeGreaterThan(2);
    expect(await screen.rows()).toEqual(before);

    screen.type('r');
    await screen.shows(new RegExp(`^.{3} *${later} `, 'm'));
    await screen.shows('PAUSED');
    screen.type('p');
    await screen.showsRows('no pause', (rows) => !rows.join('\n').includes('PAUSED'));
  });

  it('never reads the lock tables in the background', async () => {
    const own = launch('');
    const screen = new FullScreen(sessionctl, TOP, await environmentOf(own));
    const requests = (part: string): number =>
      own.events('request').filter(({ path }) => String(path).includes(part)).length;
    await screen.shows(/sorted by/);
    await until('it has read the list three times', () => requests('/processes') >= 3);
    expect(requests('/blockers')).toBe(0);
    screen.type('b');
    await screen.shows('No session waits for a lock.');
    const before = requests('/processes');
    await until(
      'it has read the list three more times',
      () => requests('/processes') >= before + 3,
    );
    expect(requests('/blockers')).toBe(1);
  });

  it('waits as long as a busy service asks for, also if the user wants to read now', async () => {
    const own = launch('requests_per_minute: 4');
    const screen = new FullScreen(sessionctl, TOP, await environmentOf(own));
    await screen.shows(/Next attempt in|sorted by/);
    const refused = (): number =>
      own.events('request').filter(({ status }) => status === 429).length;
    const isRefused = (): boolean => {
      if (refused() === 0) screen.type('r');
      return refused() > 0;
    };
    await until('the service refuses a read', isRefused, 30_000, 300);
    await screen.shows(/^Next attempt in \d\d s: The throttling threshold/m);
    const before = refused();
    screen.type('rrr');
    screen.type('?');
    await screen.shows(/^Keys/m);
    expect(refused()).toBe(before);
  });
});

describe('a kill from sessionctl top', () => {
  it('asks for the reason that the service requires', async () => {
    const own = launch('', 'audit: { file: audit.jsonl, require_reason: true }');
    const { id } = await session();
    const screen = new FullScreen(sessionctl, TOP, await environmentOf(own));
    await screen.shows(new RegExp(`^> {2} *${id} `, 'm'));
    screen.type('K');
    await screen.shows('The service requires a reason: _');
    screen.type('runaway report\r');
    await screen.shows('y and Enter: yes.');
    screen.type('y\r');
    await screen.shows('1 killed (1 gone), 0 not found.');
    const audit = readFileSync(join(own.folder, 'audit.jsonl'), 'utf8');
    expect(audit).toContain('"reason":"runaway report"');
  });

  it('prints what is known if Ctrl-C ends the wait for a rollback', async () => {
    const writer = await session();
    const table = `${clients}.rolled_back`;
    const columns = 'n INT, s CHAR(200), KEY (n)';
    await writer.connection.query(`CREATE TABLE ${table} (${columns}) ENGINE=InnoDB`);
    await writer.connection.query('START TRANSACTION');
    await writer.connection.query(`INSERT INTO ${table} VALUES (1, REPEAT('x', 200))`);
    for (let doubled = 0; doubled < 19; doubled += 1) {
      await writer.connection.query(`INSERT INTO ${table} SELECT * FROM ${table}`);
    }
    const screen = new FullScreen(sessionctl, `${TOP} --wait 60s`, environment);
    await screen.shows(new RegExp(`^> {2} *${writer.id} `, 'm'));
    screen.type('K');
    await screen.shows(/Rows to undo: 524\.3 K\./);
    await screen.shows('y and Enter: yes.');
    screen.type('y\r');
    await screen.shows(/^End sessions {2}.*(Ending 1 session|have left)/m);
    await until('it is being killed', async () => {
      const row = (await processList(server)).find(({ Id: one }) => String(one) === `${writer.id}`);
      return row === undefined || row['Command'] === 'Killed';
    });

    screen.type('\x03');

    expect(await screen.ended()).toBe(130);
    const after = screen.terminal.shown.slice(screen.terminal.shown.lastIndexOf('\x1b[?1049l'));
    expect(after).toMatch(/^\S*(0 killed, 0 not found, 1 unknown\.|1 killed)/m);
    expect(after).toMatch(/Outcome unknown: \d+ |1 killed/);
  });
});
