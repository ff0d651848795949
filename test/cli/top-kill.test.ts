import { describe, expect, it } from '@jest/globals';
import type { ReadStream } from 'node:tty';
import { Readable } from 'node:stream';
import type { SessionControlClient } from '../../src/client/index.ts';
import { NO_TERMINATION } from '../../src/client/termination.ts';
import type { CliContext, Screen } from '../../src/cli/cli-context.ts';
import type { ListedSession } from '../../src/cli/listing.ts';
import { endSessions } from '../../src/cli/top/kill-page.ts';
import { firstState } from '../../src/cli/top/state.ts';
import { Store } from '../../src/cli/top/store.ts';
import type { Victims } from '../../src/cli/top/victims.ts';
import { listed } from './sessions.ts';

/** Plays a kill of a session that a scripted client lists as `lists`, one list at a time. The answer to the question is yes. */
async function play(victims: Partial<Victims>, lists: readonly (readonly ListedSession[])[]) {
  const left = [...lists];
  const sent: bigint[] = [];
  const client = {
    list: () => Promise.resolve(left.length > 1 ? left.shift() : left[0]),
    kill: (_node: unknown, targets: readonly { readonly id: bigint }[]) => {
      const ids = targets.map(({ id }) => id);
      sent.push(...ids);
      const sessions = ids.map((id) => ({ id, outcome: 'gone' }));
      return Promise.resolve({ ...NO_TERMINATION, killed: ids, sessions });
    },
  } as unknown as SessionControlClient;
  const store = new Store(
    firstState({
      ...{ columns: 80, rows: 24, nodes: 'no1', isNodeShown: false, intervalSeconds: 2 },
      ...{ filterText: '', sortText: 'id' },
    }),
  );
  let questions = 0;
  const outcome = await endSessions(
    { sessions: [listed()], scope: 'session', passes: () => true, ...victims },
    {
      connection: { client, nodes: [{ projectId: 'p', instanceId: 'i', nodeId: 'no1' }] },
      options: {},
      store,
      prompt: () => {
        questions += 1;
        return Promise.resolve('y');
      },
      cli: {
        ...{ environment: {}, homeFolder: '/', signal: new AbortController().signal },
        ...{ input: Readable.from([]) as unknown as ReadStream },
        output: { columns: () => 80, rows: () => 24 } as unknown as Screen,
        messages: { columns: () => 80 } as unknown as Screen,
      } satisfies CliContext,
    },
  );
  return { sent, questions, outcome, lines: store.get().page?.lines.map(({ text }) => text) ?? [] };
}

describe('a kill from top', () => {
  it('ends the session that was shown', async () => {
    const { sent, questions, outcome } = await play({}, [[listed()]]);
    expect([sent, questions]).toEqual([[7n], 1]);
    expect(outcome).toEqual(['1 killed (1 gone), 0 not found.']);
  });

  it('does not ask about another session that has the id by now', async () => {
    const { sent, questions, lines } = await play({}, [[listed({ host: '10.0.0.9:40000' })]]);
    expect([sent, questions]).toEqual([[], 0]);
    expect(lines).toContain('0 killed, 1 not found.');
  });

  it('spares a session that no longer passes the filter of the list after the answer', async () => {
    const passes = ({ command }: ListedSession): boolean => command === 'Query';
    const lists = [[listed()], [listed({ command: 'Sleep', info: '' })]];
    const { sent, questions, outcome } = await play({ passes }, lists);
    expect([sent, questions]).toEqual([[], 1]);
    expect(outcome[1]).toMatch(/^Skipped, because it has ended or changed: 7 app@/);
  });

  it('spares a session whose statement has changed, if only the statement is to end', async () => {
    const lists = [[listed()], [listed({ info: 'SELECT 2' })]];
    const { sent, outcome } = await play({ scope: 'statement' }, lists);
    expect(sent).toEqual([]);
    expect(outcome[0]).toBe('0 stopped, 1 not found.');
  });
});
