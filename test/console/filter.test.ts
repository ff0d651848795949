import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { NO_FILTER, readFilter, select } from '../../src/console/filter.ts';
import { listed, SLOW_PATTERN, SLOW_TEXT } from '../cli/sessions.ts';
import { itBrowses } from '../support/browser.ts';
import { openSession, runUnwatched, type ClientSession } from '../support/client-session.ts';
import { ConsoleStage, createClients } from '../support/console.ts';
import { removeClients, tickFor, withOwnClients } from '../support/console.ts';
import { servers, type Server } from '../support/server.ts';

const [shared] = servers as [Server];
const server = withOwnClients(shared);
const stage = new ConsoleStage();
let session: ClientSession;
beforeAll(async () => {
  await createClients(server);
  await stage.start(server);
  session = await openSession(server);
});
afterAll(async () => {
  session.close();
  await stage.close();
  await removeClients(server);
});

describe('the filter of the page', () => {
  it('is given up after a second', () => {
    const list = Array.from({ length: 5000 }, (_, index) =>
      listed({ info: SLOW_TEXT.slice(index * 100, (index + 1) * 100) }),
    );
    const { passes } = readFilter({ ...NO_FILTER, info: SLOW_PATTERN });
    expect(select(list, passes)).toBeUndefined();
    expect(select(list, readFilter({ ...NO_FILTER, info: '*a*' }).passes)).toEqual(list);
  });

  itBrowses('stays alive with hostile patterns, and says what it does not support', async () => {
    runUnwatched(session, `SELECT SLEEP(600), '${'a'.repeat(60)}!'`);
    const { page, complaints } = await stage.enter();
    const statement = page.getByLabel('Statement');
    const none = page.getByText('No session passes the filter.');
    await page.getByLabel('User').fill(server.app.user);
    await statement.fill('*aaa*');
    await tickFor(page, session.id).waitFor();
    for (const pattern of [
      "/'(a+)+'/",
      "/'(a|aa)+'/",
      "/'([a-z]+)*'/i",
      '/(.*){50}b{3}/',
      '*a*a*a*a*a*a*a*a*a*a*a*a*b',
    ]) {
      await statement.fill(pattern);
      await none.waitFor();
    }
    await statement.fill('/a(?!b)/');
    await page.getByText('regular expressions are RE2, without look-around').waitFor();
    await statement.fill('/(?:abcdefghijklm){1000}/');
    await page.getByText('this pattern is too large').waitFor();
    await statement.fill("/'(a+)+!'/");
    await tickFor(page, session.id).waitFor();
    expect(complaints).toEqual([]);
  });
});
