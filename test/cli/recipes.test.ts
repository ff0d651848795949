import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { ClientSession } from '../support/client-session.ts';
import { asRoot, liveIds } from '../support/server.ts';
import { until } from '../support/until.ts';
import { Home } from './home.ts';
import { Incident, kinds, type IncidentNode } from './incident.ts';

const COOKBOOK = readFileSync('docs/cookbook.md', 'utf8');
const UPDATE = 'UPDATE t SET v = v + 1 WHERE id =';

const incident = new Incident();
const home = new Home();
beforeAll(async () => {
  await incident.start();
  home.environment = incident.environment;
});
afterEach(() => incident.clear());
afterAll(() => incident.stop());

/** Returns the `sessionctl` lines of a section of the cookbook. */
function linesOf(title: string): readonly string[] {
  const section = COOKBOOK.split(/^## /m).find((text) => text.startsWith(`${title}\n`)) ?? '';
  return section.split('\n').filter((line) => line.startsWith('sessionctl '));
}

describe.each(kinds)('a recipe of the cookbook, on %s', (kind) => {
  /** Runs a line of the cookbook for the sessions of the scene: with their account, their ids, and durations of a second. */
  async function run(line: string, ids: Readonly<Record<string, bigint>> = {}) {
    const { name, server } = incident.node(kind);
    const typed = line
      .replace(/--user (app|report)/, `--user ${server.app.user}`)
      .replace(/--(min-time|min-trx-time) \w+/, '--$1 1s')
      .replace(/\b20754\d\d\b/, (id) => String(ids[id]));
    const split = spawnSync('bash', ['-c', `sessionctl() { printf '%s\\0' "$@"; }; ${typed}`]);
    const words = split.stdout.toString().split('\0').slice(0, -1);
    const yes = words[0] === 'kill' && !words.includes('--dry-run') ? ['--yes'] : [];
    return home.run([...words, ...yes, '--node', name]);
  }

  /** Waits until all these sessions have been idle for a second. */
  async function age(node: IncidentNode): Promise<void> {
    await until('their times are at least a second', async () => {
      const { output } = await home.run([
        'list',
        '--node',
        node.name,
        '--user',
        node.server.app.user,
        '-o',
        'json',
      ]);
      return (JSON.parse(output) as { time: number }[]).every(({ time }) => time >= 1);
    });
  }

  async function alive(sessions: readonly ClientSession[]): Promise<boolean[]> {
    const ids = await liveIds(incident.node(kind).server);
    return sessions.map(({ id }) => ids.has(id));
  }

  const lineOf = (title: string, part: string): string => {
    const found = linesOf(title).find((line) => line.includes(part));
    if (found === undefined) throw new Error(`No line of ${title} has ${part}.`);
    return found;
  };

  it('ends the idle sessions if connections are used up', async () => {
    const node = incident.node(kind);
    const idle = [await node.stage.hold(), await node.stage.hold()];
    const busy = await node.stage.hold();
    node.stage.start('SELECT SLEEP(600)', busy);
    await age(node);
    const title = 'Connections are used up';

    const groups = await run(lineOf(title, 'list --group-by user'));
    const { code } = await run(lineOf(title, 'sessionctl kill'));

    expect(groups.output).toMatch(new RegExp(`^${node.server.app.user} +3 +1 `, 'm'));
    expect(code).toBe(0);
    expect(await alive([...idle, busy])).toEqual([false, false, true]);
  });

  it('ends the root of a pile-up on rows, and its waiters continue', async () => {
    const { stage } = incident.node(kind);
    const root = await stage.hold('BEGIN', `${UPDATE} 1`);
    const waiters = [await stage.wait(`${UPDATE} 1`), await stage.wait(`${UPDATE} 1`)];
    const title = 'A pile-up on rows';
    const ids = { 2075425: root.id, 2075426: waiters[0]?.id ?? 0n };

    await until('the root is shown', async () => {
      const { output } = await run(lineOf(title, 'blockers'));
      return output.startsWith(`${root.id} `) && output.includes(`─ ${waiters[1]?.id} `);
    });
    const shown = await run(lineOf(title, 'show'), ids);
    const { code, output } = await run(lineOf(title, '--blocker-of'), ids);

    expect(shown.output).toMatch(/^command +Sleep for /m);
    expect([code, output]).toEqual([0, '1 killed (1 gone), 0 not found.\n']);
    expect(await Promise.all(stage.waiting.map(({ ended }) => ended))).toEqual([
      undefined,
      undefined,
    ]);
    expect(await alive([root, ...waiters])).toEqual([false, true, true]);
  });

  it('ends the root of a pile-up on rows by its id', async () => {
    const { stage } = incident.node(kind);
    const root = await stage.hold('BEGIN', `${UPDATE} 1`);
    const waiter = await stage.wait(`${UPDATE} 1`);
    const { code } = await run(lineOf('A pile-up on rows', 'kill 2075425'), { 2075425: root.id });
    expect(code).toBe(0);
    expect(await stage.waiting[0]?.ended).toBeUndefined();
    expect(await alive([root, waiter])).toEqual([false, true]);
  });

  it('ends the statement of the ALTER in a pile-up on metadata, and no session', async () => {
    const { stage } = incident.node(kind);
    const root = await stage.hold('BEGIN', 'SELECT * FROM t');
    const alter = await stage.wait('ALTER TABLE t ADD COLUMN w INT');
    const reader = await stage.wait('SELECT COUNT(*) FROM t');
    const title = 'A pile-up on metadata';

    await until('the root is shown', async () => {
      const { output } = await run(lineOf(title, 'blockers'));
      return output.startsWith(`${root.id} `);
    });
    const { code, output } = await run(lineOf(title, '--query'));

    expect([code, output]).toEqual([0, '1 stopped, 0 not found.\n']);
    const [altered, read] = await Promise.all(stage.waiting.map(({ ended }) => ended));
    expect(altered).toMatchObject({ errno: 1317 });
    expect(read).toBeUndefined();
    expect(await alive([root, alter, reader])).toEqual([true, true, true]);
  });

  it('ends the sessions that left a transaction open, and no other idle one', async () => {
    const node = incident.node(kind);
    const forgotten = await node.stage.hold('BEGIN', `${UPDATE} 3`);
    const idle = await node.stage.hold();
    await age(node);
    const title = 'A transaction was left open';

    await until('its transaction is a second old', async () => {
      const { output } = await run(`sessionctl list --min-trx-time 1s -o ids`);
      return output === `${forgotten.id}\n`;
    });
    const listed = await run(lineOf(title, '--in-transaction'));
    const { code } = await run(lineOf(title, 'sessionctl kill'));

    expect(listed.output).toMatch(new RegExp(`^${forgotten.id} .* Sleep +\\d+s +\\d+s +1$`, 'm'));
    expect(code).toBe(0);
    expect(await alive([forgotten, idle])).toEqual([false, true]);
  });

  it('ends the statement of a runaway report, or its session', async () => {
    const node = incident.node(kind);
    const report = await node.stage.hold();
    const other = await node.stage.hold();
    const title = 'A runaway report';

    node.stage.start('SELECT SLEEP(600)', report);
    await age(node);
    const statement = await run(lineOf(title, '--query'));
    await node.stage.waiting[0]?.ended;
    const afterwards = await alive([report, other]);
    node.stage.start('SELECT SLEEP(600)', report);
    await age(node);
    const session = await run(lineOf(title, '--wait 30s'));

    expect([statement.code, statement.output]).toEqual([0, '1 stopped, 0 not found.\n']);
    expect(afterwards).toEqual([true, true]);
    expect([session.code, session.output]).toEqual([0, '1 killed (1 gone), 0 not found.\n']);
    expect(await alive([report, other])).toEqual([false, true]);
  });

  it('shows that a session is protected by SYSTEM_USER, which only MySQL has', async () => {
    const { stage, server } = incident.node(kind);
    const protectedOne = await stage.holdAs(server.root, 'SELECT 1');
    if (kind === 'mysql') {
      await asRoot(server, async (root) => {
        for (const table of ['global_grants', 'user']) {
          await root.query(`GRANT SELECT ON mysql.${table} TO '${server.control.user}'@'%'`);
        }
      });
    }
    const ids = { 2075425: protectedOne.id };

    const dry = await run(lineOf('A protected session', '--dry-run'), ids);
    const { code, output } = await run('sessionctl kill 2075425', ids);

    expect(dry.code).toBe(kind === 'mysql' ? 4 : 0);
    expect(code).toBe(kind === 'mysql' ? 4 : 0);
    if (kind === 'mysql')
      for (const text of [dry.output, output]) expect(text).toContain('SYSTEM_USER');
    await until('only MariaDB has ended it', async () => {
      const [isAlive] = await alive([protectedOne]);
      return isAlive === (kind === 'mysql');
    });
  });
});
