import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'lossless-json';
import { liveIds } from '../support/server.ts';
import { Sessionctl } from '../support/sessionctl.ts';
import { until } from '../support/until.ts';
import { Home, type Done } from './home.ts';
import { Incident, kinds } from './incident.ts';

const incident = new Incident();
const home = new Home();
let sessionctl: Sessionctl;
beforeAll(async () => {
  await incident.start();
  home.environment = incident.environment;
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

const textOf = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? value.toString() : value;

const UPDATE = 'UPDATE t SET v = v + 1 WHERE id =';

describe.each(kinds)('sessionctl in an incident on %s', (kind) => {
  const run = (...words: readonly string[]): Promise<Done> =>
    home.run([...words, '--node', `orders-${kind}`]);
  const fields = (text: string): readonly Record<string, unknown>[] =>
    parse(text, undefined, { parseNumber: BigInt }) as Record<string, unknown>[];

  /** A root that has changed three rows, `count` sessions that wait for it, and one that waits for the first of them. */
  async function pileUp(count: number) {
    const { stage } = incident.node(kind);
    const root = await stage.hold('BEGIN', `${UPDATE} 1`, `${UPDATE} 5`, `${UPDATE} 6`);
    const middle = await stage.hold('BEGIN', `${UPDATE} 2`);
    const waiters = [await stage.wait(`${UPDATE} 1`, middle)];
    const last = await stage.wait(`${UPDATE} 2`);
    while (waiters.length < count) {
      const waiter = await stage.hold();
      stage.start(`${UPDATE} 1`, waiter);
      waiters.push(waiter);
    }
    await stage.untilWaiting(waiters);
    const expectedCounts = [
      [root.id, BigInt(count + 1)],
      [middle.id, 1n],
    ];
    // The service shares what it has read of the locks for two seconds.
    await until('the service shows all of them', async () => {
      const { output } = await run('blockers', '-o', 'json');
      const [found] = fields(output) as [{ readonly blockers: Record<string, unknown>[] }];
      const counts = found.blockers.map(({ id, waiters: all }) => [id, all]);
      return JSON.stringify(counts, textOf) === JSON.stringify(expectedCounts, textOf);
    });
    return { root, middle, last, waiters };
  }

  it('shows the tree of blockers, folded past ten, with the right counts', async () => {
    const { root, middle, last } = await pileUp(13);

    const { code, output, messages } = await run('blockers');

    expect(code).toBe(0);
    const lines = output.trimEnd().split('\n');
    expect(lines[0]).toMatch(
      new RegExp(`^${root.id} \\S+: 14 wait, 3 rows changed, transaction \\d+s, idle \\d+s$`),
    );
    expect(output).toMatch(
      new RegExp(`─ ${middle.id} \\S+ waits \\d+s for a row of t, 1 behind it`),
    );
    expect(output).toMatch(new RegExp(`└─ ${last.id} .*: UPDATE t SET v = v \\+ 1 WHERE id = 2`));
    expect(lines.filter((line) => /^[├└]─ \d/.test(line))).toHaveLength(10);
    expect(lines.at(-1)).toBe('└─ and 3 more');
    expect(messages).toBe(`1 root blocker. To free the waiters: sessionctl kill ${root.id}\n`);
  });

  it('has the blockers as JSON with the name of the node beside its id', async () => {
    const { root, last, middle } = await pileUp(1);
    const { nodeId, name } = incident.node(kind);

    const [found] = fields((await run('blockers', '-o', 'json')).output);

    expect(found).toMatchObject({
      node: nodeId,
      node_name: name,
      blockers: [
        { id: root.id, is_root: true, waiters: 2n, can_be_killed: true },
        { id: middle.id, is_root: false, waiters: 1n },
      ],
      sources: { row: 'available', metadata: 'available' },
    });
    expect(found?.['waits']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ id: last.id, waits_for: middle.id, kind: 'row', table: 't' }),
      ]),
    );
  });

  it('reports that no session waits', async () => {
    expect(await run('blockers')).toEqual({
      code: 0,
      output: '',
      messages: 'No session waits for a lock.\n',
    });
  });

  it('shows everything about one session', async () => {
    const { root, middle, last } = await pileUp(1);

    const { code, output } = await run('show', middle.id.toString());
    const [shown] = fields(`[${(await run('show', `${root.id}`, '-o', 'json')).output}]`);

    expect(code).toBe(0);
    expect(output).toMatch(new RegExp(`^node +orders-${kind}$`, 'm'));
    expect(output).toMatch(/^transaction +1 row changed in a transaction of \d+s \(lock wait\), /m);
    expect(output).toMatch(new RegExp(`^waits for +${root.id}, waits \\d+s for a row of`, 'm'));
    expect(output).toMatch(new RegExp(`^blocks +${last.id}$`, 'm'));
    expect(output).toMatch(/^program +.*_client_name=Node-MySQL-2/m);
    expect(output).toMatch(/^statement +UPDATE t SET v = v \+ 1 WHERE id = 1$/m);
    expect(shown).toMatchObject({
      id: root.id,
      node_name: `orders-${kind}`,
      transaction: { state: 'RUNNING', rows_modified: 3n },
      waits_for: [],
    });
  });

  it('reports a session that has ended: 3', async () => {
    const { code, output, messages } = await run('show', '4000000');
    expect([code, output]).toEqual([3, '']);
    expect(messages).toBe(
      `sessionctl: No user session has the id 4000000 on node orders-${kind}: it may have ended. See \`sessionctl list\`.\n`,
    );
  });

  it('ends the root blocker of a waiter, and only that one', async () => {
    const { root, middle, last } = await pileUp(1);

    const { code, output, messages } = await run(
      ...['kill', '--blocker-of', last.id.toString(), '--yes', '--wait', '10s'],
    );

    expect([code, output]).toEqual([0, '1 killed (1 gone), 0 not found.\n']);
    expect(messages).toMatch(/^Open transactions: 1, the oldest for \d+s. Rows to undo: 3.$/m);
    const alive = await liveIds(incident.node(kind).server);
    expect([root, middle, last].map(({ id }) => alive.has(id))).toEqual([false, true, true]);
  });

  it('ends no session for a session that waits for nobody: 3', async () => {
    const idle = await incident.node(kind).stage.hold();
    const { code, messages } = await run('kill', '--blocker-of', idle.id.toString(), '--yes');
    expect([code, messages]).toEqual([
      3,
      `Session ${idle.id} on node orders-${kind} waits for nobody.\nNo session matches: no session was ended.\n`,
    ]);
  });

  it('skips a blocker that has stopped blocking before the answer', async () => {
    const { root, last, middle } = await pileUp(1);
    const line = `sessionctl kill --blocker-of ${last.id} --node orders-${kind}`;
    const screen = sessionctl.open(line, incident.environment);
    await screen.shows(`End this session on node orders-${kind}?`);
    await root.connection.query('COMMIT');
    await middle.connection.query('COMMIT');
    await until('nobody waits', async () => (await run('blockers')).output === '');

    screen.type('y\r');

    expect(await screen.ended()).toBe(3);
    expect(screen.shown).toContain(`Skipped, because it has ended or changed: ${root.id}`);
    expect((await liveIds(incident.node(kind).server)).has(root.id)).toBe(true);
  });

  it('ends a statement only with --query', async () => {
    const { stage, server } = incident.node(kind);
    const session = await stage.hold('BEGIN', `${UPDATE} 7`);
    stage.start('SELECT SLEEP(600)', session);
    const idle = await stage.hold();
    await until('it sleeps', async () => (await run('list', '--info', '*SLEEP*')).output !== '');

    const { code, output, messages } = await run(
      ...['kill', `${session.id}`, `${idle.id}`, '--query', '--yes'],
    );

    expect(code).toBe(3);
    expect(output).toMatch(/^1 stopped, 0 not found, 1 idle\.\nRan no statement: /);
    expect(messages).toContain('Rows to undo at most: 1.');
    await stage.waiting.at(-1)?.ended;
    const alive = await liveIds(server);
    expect([session, idle].map(({ id }) => alive.has(id))).toEqual([true, true]);
  });

  it('refuses to undo more rows than allowed, and ends the session with --force', async () => {
    const { stage, server } = incident.node(kind);
    const writer = await stage.hold('BEGIN', 'UPDATE t SET v = v + 1');
    const kill = ['kill', writer.id.toString(), '--yes', '--max-rollback-rows', '9'];

    const refused = await run(...kill);
    const dry = await run(...kill, '--dry-run');
    const isAlive = (await liveIds(server)).has(writer.id);
    const forced = await run(...kill, '--force');

    expect([refused.code, refused.messages]).toEqual([
      64,
      'sessionctl: The kill has to undo 10 rows, more than --max-rollback-rows 9: no session was ended. A rollback holds its locks until it ends. Use --force to end the sessions anyway.\n',
    ]);
    expect([dry.code, dry.messages]).toEqual([0, expect.stringContaining('it needs --force.')]);
    expect([isAlive, forced.code]).toEqual([true, 0]);
    await until('it is gone', async () => !(await liveIds(server)).has(writer.id));
  });
});

describe('sessionctl on several nodes', () => {
  it('asks about the nodes that have sessions to end, by name, with counts', async () => {
    const [kind = ''] = kinds;
    const { stage, server } = incident.node(kind);
    for (let count = 0; count < 12; count += 1) await stage.hold();
    const nodes = [...incident.nodes.values()].map(({ name }) => `--node ${name}`).join(' ');
    const line = `sessionctl kill --user ${server.app.user} ${nodes}`;
    const screen = sessionctl.open(line, incident.environment, 100);

    await screen.shows('(y/N)');

    expect(screen.shown).toContain(`End these 12 sessions on node orders-${kind}?`);
    expect(screen.shown).toContain('and 2 more\r\n');
    expect(screen.shown).toContain(`By user: ${server.app.user} 12. By host: 127.0.0.1 12.\r\n`);
    expect(screen.shown).toContain('Open transactions: none. Rows to undo: 0.');
  });

  it('shows the nodes of the project', async () => {
    const { output, messages } = await home.run(['nodes']);
    for (const { name, nodeId } of incident.nodes.values()) {
      expect(output).toMatch(new RegExp(`^${name} +${nodeId} `, 'm'));
    }
    expect(messages).toMatch(/^\d nodes?\. ops may use: listProcesses, deleteProcesses, get\.$/m);
  });

  it('names the nodes in NODE/ID, and reads both names and ids there', async () => {
    const [kind = ''] = kinds;
    const { stage, name, nodeId } = incident.node(kind);
    const { id } = await stage.hold();
    const flags = [...incident.nodes.values()].flatMap((node) => ['--node', node.name]);
    const { output } = await home.run(['list', '-o', 'ids', ...flags]);
    expect(output).toContain(`${name}/${id}\n`);
    for (const node of [name, nodeId]) {
      expect((await home.run(['show', `${node}/${id}`, ...flags])).code).toBe(0);
    }
  });

  it('refuses a name that no node has', async () => {
    const { code, messages } = await home.run(['list', '--node', 'order-primary']);
    expect([code, messages]).toEqual([
      64,
      'sessionctl: No node of the project has the name or id order-primary. See `sessionctl nodes`.\n',
    ]);
  });
});
