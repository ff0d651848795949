import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ClientSession } from '../support/client-session.ts';
import { liveIds, processList } from '../support/server.ts';
import { Sessionctl } from '../support/sessionctl.ts';
import { until } from '../support/until.ts';
import { FullScreen } from './full-screen.ts';
import { Incident, kinds } from './incident.ts';

const UPDATE = 'UPDATE t SET v = v + 1 WHERE id =';

const incident = new Incident();
let sessionctl: Sessionctl;
beforeAll(async () => {
  await incident.start();
  sessionctl = new Sessionctl();
});
afterEach(async () => {
  sessionctl.closeTerminals();
  await incident.clear();
});
afterAll(async () => {
  await incident.stop();
  sessionctl.remove();
});

describe.each(kinds)('sessionctl top in an incident on %s', (kind) => {
  let screen: FullScreen;
  beforeEach(() => {
    screen = open();
  });

  function open(more = ''): FullScreen {
    const line = `sessionctl top --node orders-${kind} --interval 1s ${more}`;
    return new FullScreen(sessionctl, line, incident.environment, [120, 24]);
  }

  async function isAlive({ id }: ClientSession): Promise<boolean> {
    return (await liveIds(incident.node(kind).server)).has(id);
  }

  /** Moves the cursor to the row of a session. */
  async function goTo({ id }: ClientSession): Promise<void> {
    const isThere = async (): Promise<boolean> => {
      const rows = await screen.rows();
      const [from, to] = [/^>/, new RegExp(`^.{3} *${id} `)].map((row) =>
        rows.findIndex((text) => row.test(text)),
      ) as [number, number];
      if (from < 0 || to < 0 || from === to) return from === to && to >= 0;
      screen.type((to > from ? 'j' : 'k').repeat(Math.abs(to - from)));
      return false;
    };
    await until(`the cursor is on ${id}`, isThere, 30_000, 300);
  }

  /** Opens the page of the blockers, and reads it again until its first line is this root. */
  async function openBlockers({ id }: ClientSession): Promise<void> {
    screen.type('b');
    const isRoot = async (): Promise<boolean> => {
      if ((await screen.rows()).some((row) => row.startsWith(`> ${id} `))) return true;
      screen.type('r');
      return false;
    };
    await until('the locks are new', isRoot, 60_000, 300);
  }

  it('shows the sessions, filters and sorts them, and opens a group', async () => {
    const { stage, server } = incident.node(kind);
    const sleeper = await stage.hold();
    const runner = await stage.hold();
    stage.start("SELECT SLEEP(600), 'needle'", runner);
    await screen.shows(/needle/);

    const all = await screen.shows(/^2 sessions {2}sorted by command,-time/m);
    expect(all[0]).toMatch(/^orders-\w+ {2}every 1 s {2}\d\d:\d\d:\d\d$/);
    expect(all[1]).toMatch(/^Connections 2 {2}running 1 {2}waiting for locks 0 {2}oldest /);
    expect(all.at(-1)).toMatch(/^\? help {2}q quit /);
    const order = all.flatMap((row) => /^.{3} *(\d+) /.exec(row)?.[1] ?? []);
    expect(order).toEqual([runner.id, sleeper.id].map(String));

    screen.type('s\x15-id\r');
    const sorted = await screen.shows(/^2 sessions {2}sorted by -id/m);
    const ids = sorted.flatMap((row) => /^.{3} *(\d+) /.exec(row)?.[1] ?? []);
    expect(ids).toEqual([runner.id, sleeper.id].map(String));

    screen.type('/needle\r');
    await screen.shows(/^1 of 2 sessions .* filter needle$/m);
    screen.type('/\x15command=Sleep\r');
    const idle = await screen.shows(/^1 of 2 sessions .* filter command=Sleep$/m);
    expect(idle.join('\n')).toContain(` ${sleeper.id} `);
    screen.type('/\x15usr=app\r');
    await screen.shows('usr= is not a filter.');
    screen.type('\x1b');
    await screen.shows(/^\? help/m);
    screen.type('/\x15\r');
    await screen.shows(/^2 sessions {2}sorted/m);

    screen.type('g');
    await screen.shows(new RegExp(`^> {2}${server.app.user} +2 +1 `, 'm'));
    screen.type('gggg');
    await screen.shows(/grouped by state/);
    screen.type('\x1b');
    await screen.shows(/sorted by/);
    screen.type('g\r');
    await screen.shows(new RegExp(`^2 sessions .* filter user=${server.app.user}$`, 'm'));
    screen.type('q');
    expect(await screen.ended()).toBe(0);
  });

  it('shows everything about a session', async () => {
    const { stage } = incident.node(kind);
    const runner = await stage.hold();
    stage.start(`SELECT SLEEP(600), '${'long '.repeat(100)}end'`, runner);
    await goTo(runner);

    screen.type('\r');

    await screen.shows(/^Session \d+ /m);
    const rows = await screen.shows(/long end'/);
    expect(rows.join('\n')).toMatch(/^statement +SELECT SLEEP\(600\), 'long long/m);
    expect(rows.join('\n')).toMatch(new RegExp(`^session +${runner.id}$`, 'm'));
    screen.type('\x1b');
    await screen.shows(/sorted by/);
    await screen.shows(/^\? help/m);
  });

  it('shows the blockers, and ends a root blocker after the question', async () => {
    const { stage } = incident.node(kind);
    const root = await stage.hold('BEGIN', `${UPDATE} 1`, `${UPDATE} 5`);
    const waiter = await stage.wait(`${UPDATE} 1`);
    await screen.shows(/waiting for locks 1 /);
    await openBlockers(root);
    screen.type('jK');
    await screen.shows('Move the cursor to a root blocker');
    screen.type('kK');

    await screen.shows(`End this session on node orders-${kind}?`);
    const asked = await screen.shows('y and Enter: yes.');
    expect(asked.join('\n')).toMatch(/^Open transactions: 1, .* Rows to undo: 2\.$/m);
    expect(await isAlive(root)).toBe(true);
    screen.type('y\r');

    await screen.shows('1 killed (1 gone), 0 not found.');
    expect([await isAlive(root), await isAlive(waiter)]).toEqual([false, true]);
    expect(await stage.waiting.at(-1)?.ended).toBeUndefined();
    screen.type('\x1b');
    await screen.shows(/waiting for locks 0 /);
    screen.type('q');
    expect(await screen.ended()).toBe(0);
    // The outcome stays on the terminal.
    await screen.rows();
    expect((await screen.rows()).join('\n')).toContain('1 killed (1 gone), 0 not found.');
  });

  it('spares a root blocker that has stopped blocking before the answer', async () => {
    const { stage } = incident.node(kind);
    const root = await stage.hold('BEGIN', `${UPDATE} 2`);
    await stage.wait(`${UPDATE} 2`);
    await openBlockers(root);
    screen.type('K');
    await screen.shows('y and Enter: yes.');
    await root.connection.query('COMMIT');
    await stage.waiting.at(-1)?.ended;
    // The service shares what it has read of the locks for two seconds.
    await until('the service shows no waits', async () => {
      const { output } = await sessionctl.run(
        `sessionctl blockers --node orders-${kind}`,
        incident.environment,
      );
      return output === '';
    });

    screen.type('y\r');

    await screen.shows(`Skipped, because it has ended or changed: ${root.id}`);
    expect(await isAlive(root)).toBe(true);
  });

  it.each(['n\r', '\r', '\x1b', 'no', 'yn\r'])(
    'ends no session after the answer %j',
    async (answer) => {
      const { stage } = incident.node(kind);
      const session = await stage.hold();
      await goTo(session);
      screen.type('K');
      await screen.shows('y and Enter: yes.');
      screen.type(answer);
      // Keys that came before the question are no answer either.
      if (answer === 'no') screen.type('\x1b');
      await screen.shows('No session was ended.');
      expect(await isAlive(session)).toBe(true);
    },
  );

  it('takes no key from before the question as its answer', async () => {
    const { stage } = incident.node(kind);
    const session = await stage.hold();
    await goTo(session);
    screen.type('Ky\ry\ry\r');
    await until('the page has ended or asks', async () => {
      const text = (await screen.rows()).join('\n');
      return text.includes('y and Enter: yes. Enter or Esc: no. _') || text.includes('sorted by');
    });
    expect(await isAlive(session)).toBe(true);
  });

  it('ends the marked sessions, also those that the list has moved', async () => {
    const { stage } = incident.node(kind);
    const sessions = [await stage.hold(), await stage.hold(), await stage.hold()] as const;
    const [first, second, third] = sessions;
    await goTo(first);
    screen.type(' ');
    await goTo(second);
    screen.type(' ');
    await screen.shows('2 marked');
    screen.type('s\x15-id\r');
    await screen.shows('sorted by -id');
    screen.type('K');
    await screen.shows('End these 2 sessions on node');
    await screen.shows('y and Enter: yes.');
    screen.type('y\r');
    await screen.shows('2 killed (2 gone), 0 not found.');
    expect(await Promise.all(sessions.map(isAlive))).toEqual([false, false, true]);
    screen.type('\x1b');
    await goTo(third);
  });

  it('reports a marked session that has ended, and does not mark its neighbour', async () => {
    const { stage } = incident.node(kind);
    const [leaving, neighbour] = [await stage.hold(), await stage.hold()];
    await goTo(neighbour);
    await goTo(leaving);
    screen.type(' ');
    await goTo(leaving);
    await screen.shows('1 marked');
    leaving.close();
    await screen.shows(`Session ${leaving.id} `);
    const rows = await screen.shows(/left the selection: ended\./);
    // The row under the cursor is gone: no other row has taken its place.
    expect(rows.filter((row) => row.startsWith('>'))).toEqual([]);
    screen.type('K');
    await screen.shows('Move the cursor to a session first.');
    expect(await isAlive(neighbour)).toBe(true);
  });

  it('leaves a session alone that has changed before the answer', async () => {
    const { stage } = incident.node(kind);
    const session = await stage.hold();
    await goTo(session);
    screen.type('K');
    await screen.shows('y and Enter: yes.');
    session.close();
    await until('it is gone', async () => !(await isAlive(session)));
    screen.type('y\r');
    await screen.shows(`Skipped, because it has ended or changed: ${session.id}`);
    await screen.shows('0 killed, 1 not found.');
  });

  it('ends only the statement with C', async () => {
    const { stage, server } = incident.node(kind);
    const session = await stage.hold('BEGIN', `${UPDATE} 7`);
    stage.start('SELECT SLEEP(600)', session);
    await screen.shows(/SLEEP\(600\)/);
    await goTo(session);
    screen.type('C');
    await screen.shows('End the statement of this session');
    await screen.shows('y and Enter: yes.');
    screen.type('y\r');
    await screen.shows('1 stopped, 0 not found.');
    await stage.waiting.at(-1)?.ended;
    const row = (await processList(server)).find(({ Id: id }) => String(id) === String(session.id));
    expect(row?.['Command']).toBe('Sleep');
  });

  it('refuses a rollback that is too large, and asks all the same only after `force`', async () => {
    screen.type('q');
    await screen.ended();
    screen = open('--max-rollback-rows 9');
    const { stage } = incident.node(kind);
    const writer = await stage.hold('BEGIN', 'UPDATE t SET v = v + 1');
    await goTo(writer);
    screen.type('K');
    await screen.shows('The kill has to undo 10 rows, more than --max-rollback-rows 9');
    await screen.shows('type force: _');
    screen.type('y\r');
    await screen.shows('No session was ended.');
    expect(await isAlive(writer)).toBe(true);
    screen.type('\x1b');
    await goTo(writer);
    screen.type('K');
    await screen.shows('type force: _');
    screen.type('force\r');
    await screen.shows('y and Enter: yes.');
    expect(await isAlive(writer)).toBe(true);
    screen.type('y\r');
    await screen.shows('1 killed');
    await until('it is gone', async () => !(await isAlive(writer)));
  });
});

it('sessionctl top shows several nodes, and ends sessions on each of them', async () => {
  const nodes = [...incident.nodes.values()];
  // Only one kind of server can be started here.
  if (nodes.length === 1) return;
  const sessions = await Promise.all(nodes.map(({ stage }) => stage.hold()));
  const bystanders = await Promise.all(nodes.map(({ stage }) => stage.hold()));
  const names = nodes.map(({ name }) => `--node ${name}`).join(' ');
  const line = `sessionctl top --interval 1s --sort id ${names}`;
  const screen = new FullScreen(sessionctl, line, incident.environment, [140, 24]);
  const rows = await screen.shows(/^4 sessions/m);
  expect(rows[0]).toContain(nodes.map(({ name }) => name).join(', '));
  for (const [index, { name }] of nodes.entries()) {
    const { id } = sessions[index] as ClientSession;
    const isRow = (row: string): boolean => new RegExp(`^.. ${name} +${id} `).test(row);
    const shown = await screen.showsRows(`${name}/${id}`, (now) => now.some(isRow));
    const at = shown.findIndex(isRow);
    screen.type('\x1b[H');
    await screen.showsRows('the first row', (now) => now[5]?.startsWith('>') === true);
    screen.type(`${'j'.repeat(at - 5)} `);
    await screen.shows(`${index + 1} marked`);
  }

  screen.type('K');
  const counts = nodes.map(({ name }) => `${name}: 1`).join(', ');
  await screen.shows(`End these 2 sessions on 2 nodes (${counts})?`);
  await screen.shows('y and Enter: yes.');
  screen.type('y\r');

  await screen.shows('2 killed (2 gone), 0 not found.');
  for (const [index, { server }] of nodes.entries()) {
    const alive = await liveIds(server);
    expect(alive.has(sessions[index]?.id ?? 0n)).toBe(false);
    expect(alive.has(bystanders[index]?.id ?? 0n)).toBe(true);
  }
});
