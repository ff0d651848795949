import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Writable } from 'node:stream';
import type { WriteStream } from 'node:tty';
import type { NodeAddress, SessionControlClient } from '../../src/client/index.ts';
import { NO_TERMINATION } from '../../src/client/termination.ts';
import { killAll } from '../../src/cli/kill-nodes.ts';
import type { ListedSession } from '../../src/cli/listing.ts';
import { createScreen, type CliContext } from '../../src/cli/cli-context.ts';
import { until } from '../support/until.ts';
import { listed } from './sessions.ts';

describe('the line that says who has not left yet', () => {
  // With these the spinner would not move.
  const { CI, TERM } = process.env;
  beforeEach(() => {
    delete process.env['CI'];
    process.env['TERM'] = 'xterm';
  });
  afterEach(() => {
    Object.assign(process.env, { TERM, CI });
    for (const [name, was] of Object.entries({ TERM, CI })) {
      if (was === undefined) Reflect.deleteProperty(process.env, name);
    }
  });

  /** A node is done at once, while another one waits until it is let go and lists what it is told to. */
  function begin() {
    const [quick, slow] = ['quick', 'slow'].map((nodeId) => ({
      ...{ projectId: 'p', instanceId: 'i', nodeId },
    })) as [NodeAddress, NodeAddress];
    const sessions = [listed({ node: 'quick', id: 1n }), listed({ node: 'slow', id: 9n })];
    const stays: { list: ListedSession[]; letGo: () => void } = {
      list: [listed({ node: 'slow', id: 9n, command: 'Killed', state: 'Rollback' })],
      letGo: () => undefined,
    };
    const released = new Promise<void>((resolve) => (stays.letGo = resolve));
    const client = {
      kill: async (node: NodeAddress, targets: readonly { readonly id: bigint }[]) => {
        if (node === slow) await released;
        const gone = targets.map(({ id }) => ({ id, outcome: 'gone' }));
        return { ...NO_TERMINATION, killed: targets.map(({ id }) => id), sessions: gone };
      },
      list: (node: NodeAddress) => Promise.resolve(node === slow ? stays.list : []),
    } as unknown as SessionControlClient;
    let shown = '';
    const stream = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        shown += chunk.toString();
        done();
      },
    });
    const nothing = (): boolean => true;
    const tty = { isTTY: true, columns: 200, cursorTo: nothing, clearLine: nothing };
    const messages = createScreen(
      Object.assign(stream, tty, { moveCursor: nothing }) as unknown as WriteStream,
      {},
    );
    const killed = killAll(
      { client, nodes: [quick, slow] },
      sessions,
      { isDryRun: false, waitSeconds: 60, reason: undefined } as Parameters<typeof killAll>[2],
      { messages, signal: new AbortController().signal } as unknown as CliContext,
    );
    return { stays, killed, shown: () => shown };
  }

  it('counts those of a node that is done, and says when nobody is listed any more', async () => {
    const { stays, killed, shown } = begin();
    await until('it names who is left', () => shown().includes('Still there:'));
    expect(shown()).toMatch(
      /1 of 2 have left the node after \d s\. Still there: 9 \S+ \(rolling back\)/,
    );
    expect(shown()).not.toMatch(/Still there: 1 /);
    stays.list = [];
    await until('nobody is listed', () => shown().includes('None of 2 is listed any more after'));
    stays.letGo();
    expect((await killed).flatMap(({ results }) => results.map(({ outcome }) => outcome))).toEqual([
      'gone',
      'gone',
    ]);
  });
});
