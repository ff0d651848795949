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

describe('the progress line of a kill', () => {
  // The spinner stands still if CI is set or TERM is dumb.
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

  /** Starts a kill on two nodes. One node answers at once; the other one answers after `release` and lists `list` until then. */
  function begin() {
    const [quick, slow] = ['quick', 'slow'].map((nodeId) => ({
      ...{ projectId: 'p', instanceId: 'i', nodeId },
    })) as [NodeAddress, NodeAddress];
    const sessions = [listed({ node: 'quick', id: 1n }), listed({ node: 'slow', id: 9n })];
    const slowNode: { list: ListedSession[]; release: () => void } = {
      list: [listed({ node: 'slow', id: 9n, command: 'Killed', state: 'Rollback' })],
      release: () => undefined,
    };
    const released = new Promise<void>((resolve) => (slowNode.release = resolve));
    const client = {
      kill: async (node: NodeAddress, targets: readonly { readonly id: bigint }[]) => {
        if (node === slow) await released;
        const gone = targets.map(({ id }) => ({ id, outcome: 'gone' }));
        return { ...NO_TERMINATION, killed: targets.map(({ id }) => id), sessions: gone };
      },
      list: (node: NodeAddress) => Promise.resolve(node === slow ? slowNode.list : []),
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
    return { slowNode, killed, shown: () => shown };
  }

  it('counts the sessions of a node that has answered, and changes once no session is listed', async () => {
    const { slowNode, killed, shown } = begin();
    await until('the line names a session that is left', () => shown().includes('Still listed:'));
    expect(shown()).toMatch(
      /1 of 2 sessions have left the node after \d s\. Still listed: 9 \S+ \(rolling back\)/,
    );
    expect(shown()).not.toMatch(/Still listed: 1 /);
    slowNode.list = [];
    await until('no session is listed', () =>
      shown().includes('2 of 2 sessions have left the list after'),
    );
    slowNode.release();
    expect((await killed).flatMap(({ results }) => results.map(({ outcome }) => outcome))).toEqual([
      'gone',
      'gone',
    ]);
  });
});
