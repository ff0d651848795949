import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '../support/until.ts';
import { Home, type Done } from './home.ts';
import { Incident, kinds } from './incident.ts';

const incident = new Incident();
const home = new Home();
beforeAll(async () => {
  await incident.start();
  home.environment = incident.environment;
});
afterEach(() => incident.clear());
afterAll(() => incident.stop());

const UPDATE = 'UPDATE t SET v = v + 1 WHERE id';

describe.each(kinds)('a list of sessions with transactions on %s', (kind) => {
  const list = (...words: readonly string[]): Promise<Done> => {
    const { name, server } = incident.node(kind);
    return home.run(['list', '--node', name, '--user', server.app.user, ...words]);
  };

  /** A session that has changed three rows, one that waits for it, and one that idles without a transaction. */
  async function open() {
    const { stage } = incident.node(kind);
    const holder = await stage.hold('BEGIN', `${UPDATE} IN (1, 2, 3)`);
    const waiter = await stage.wait(`${UPDATE} = 1`);
    const idle = await stage.hold();
    return { holder: holder.id, waiter: waiter.id, idle: idle.id };
  }

  it('shows their age and their rows', async () => {
    const { holder, idle } = await open();
    const { output, messages } = await list('--sort', '-rows');
    expect(output.split('\n')[0]).toMatch(
      /ID +USER +HOST +DB +COMMAND +TIME +TRX +ROWS +STATE +STATEMENT/,
    );
    expect(output).toMatch(new RegExp(`^ *${holder} .* Sleep +\\d+s +\\d+s +3$`, 'm'));
    expect(output).toMatch(new RegExp(`^ *${idle} .* Sleep +\\d+s$`, 'm'));
    expect(messages).toBe('3 sessions.\n');
  });

  it('filters by transaction, lock wait and blocker', async () => {
    const { holder, waiter } = await open();
    const ids = async (...words: readonly string[]): Promise<string[]> =>
      (await list('-o', 'ids', ...words)).output.trimEnd().split('\n');
    const both = [`${holder}`, `${waiter}`];

    expect(await ids('--in-transaction')).toEqual(both);
    expect(await ids('--waiting')).toEqual([`${waiter}`]);
    expect(await ids('--min-trx-time', '1h')).toEqual(['']);
    await until('a second has passed', async () => {
      return (await ids('--min-trx-time', '1s')).length === 2;
    });
    await until('the blocker is known', async () => (await ids('--blocking'))[0] !== '');
    expect(await ids('--blocking')).toEqual([`${holder}`]);
    expect(await ids('--in-transaction', '--sort', 'command,-id')).toEqual(both.reverse());
  });

  it('counts the matching sessions and the shown ones', async () => {
    await open();
    expect((await list('--limit', '1')).messages).toBe('1 of 3 sessions.\n');
    expect((await list('--in-transaction', '--limit', '1')).messages).toBe(
      '1 of 2 that match, 3 in all.\n',
    );
  });

  it('groups the sessions', async () => {
    await open();
    const { output } = await list('--group-by', 'user');
    const json = await list('--group-by', 'command', '-o', 'json');
    expect(output).toMatch(
      /USER +SESSIONS +RUNNING +IN TRX +ROWS +LONGEST\n\S+ +3 +1 +2 +\d +\d+s\n/,
    );
    expect(JSON.parse(json.output)).toMatchObject([
      { command: 'Sleep', sessions: 2, running: 0, in_transaction: 1, rows_modified: 3 },
      { command: 'Query', sessions: 1, running: 1, in_transaction: 1 },
    ]);
  });

  it('shows all columns with -o wide', async () => {
    await open();
    const { output } = await list('-o', 'wide');
    expect(output).toMatch(/^NODE +ID .* TRX +TRX STATE +LOCKED +ROWS +STATE +STATEMENT\n/);
    expect(output).toMatch(new RegExp(`^orders-${kind} .* LOCK WAIT `, 'm'));
  });
});
