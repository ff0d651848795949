import { describe, expect, it } from '@jest/globals';
import type { Node } from '../../src/domain/node.ts';
import { SessionService, type Kill } from '../../src/domain/session-service.ts';
import { FileRegistry } from '../../src/registry/node-registry.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey } from '../support/ids.ts';

function start(changes: Partial<Node> = {}) {
  const nodes = new FakeNodes();
  let later = 0;
  nodes.clock = () => performance.now() + later;
  const sessions = new SessionService(
    new FileRegistry([{ ...fakeNode, ...changes }]),
    nodes,
    { internalUsers: ['nagios'], requireClientPort: true },
    nodes.clock,
  );
  const records: Kill[] = [];
  return {
    nodes,
    sessions,
    records,
    terminate: (...ids: bigint[]) => sessions.terminate(nodeKey, ids, (kill) => records.push(kill)),
    passTime: (ms: number) => (later += ms),
  };
}

describe('terminate', () => {
  it('keeps the order of the request and counts a repeated id once', async () => {
    const { nodes, terminate } = start();
    const [a, b] = [nodes.connect(), nodes.connect()];

    expect(await terminate(99n, b, a, b, 98n, 99n)).toEqual({
      killed: [b, a],
      notFound: [99n, 98n],
      failed: [],
      unknown: [],
      trouble: undefined,
    });
    expect(nodes.kills).toEqual([b, a]);
  });

  it('keeps ids exact beyond 2^53', async () => {
    const { nodes, terminate } = start();
    const id = 5_857_102_839_209_263_511n;
    nodes.connect({ id: id.toString() });
    nodes.connect({ id: (id + 1n).toString() });

    expect(await terminate(id)).toMatchObject({ killed: [id] });
    expect(nodes.has(id + 1n)).toBe(true);
  });

  it.each([
    ['a daemon', { user: 'event_scheduler', host: 'localhost', command: 'Daemon' }],
    ['an account of the configuration', { user: 'Nagios' }],
    ['an account of the node', { user: 'backup' }],
    ['the control account', { user: 'session_control' }],
  ])('sends nothing to %s, and says that it is not found', async (_who, changes) => {
    const { nodes, terminate, records } = start({ internalUsers: ['backup'] });
    const id = nodes.connect(changes);

    expect(await terminate(id)).toMatchObject({ killed: [], notFound: [id], failed: [] });
    expect(nodes.kills).toEqual([]);
    expect(records).toEqual([]);
  });

  it('goes on after an id that the node refuses to end', async () => {
    const { nodes, terminate } = start();
    const [first, refused, last] = [nodes.connect(), nodes.connect(), nodes.connect()];
    nodes.faults.set(refused, 'refused');

    expect(await terminate(first, refused, last)).toMatchObject({
      killed: [first, last],
      notFound: [],
      failed: [refused],
      unknown: [],
    });
  });

  it.each(['no answer', 'connection lost'] as const)(
    'tells what was killed, what is unknown and what was never sent: %s',
    async (fault) => {
      const { nodes, terminate, records } = start();
      const [first, hung, after, last] = [1, 2, 3, 4].map(() => nodes.connect()) as [
        bigint,
        bigint,
        bigint,
        bigint,
      ];
      nodes.faults.set(hung, fault);

      const termination = await terminate(first, 7n, hung, after, last);

      expect(termination).toMatchObject({
        killed: [first],
        notFound: [7n],
        failed: [after, last],
        unknown: [hung],
        trouble: { code: 'node_unavailable' },
      });
      expect(nodes.kills).toEqual([first, hung]);
      expect(records.map(({ session, outcome }) => [session.id, outcome])).toEqual([
        [first, 'killed'],
        [hung, 'unknown'],
        [after, 'not_sent'],
        [last, 'not_sent'],
      ]);
    },
  );

  it('reads the list again when it is older than 2 s, and kills only who is still there', async () => {
    const { nodes, terminate, passTime } = start();
    const [first, left, reused, last] = [1, 2, 3, 4].map(() => nodes.connect()) as [
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    nodes.beforeList = (number) => {
      if (number !== 1) {
        // In a routine of another definer a session shows that one's user and host, but its own port.
        nodes.connect({
          id: last.toString(),
          user: 'owner',
          host: `%:${50_000n + (last % 10_000n)}`,
        });
        nodes.disconnect(left);
        nodes.connect({ id: reused.toString(), host: '10.9.9.9:4711' });
      }
    };
    const kill = nodes.kills;
    kill.push = (...ids: bigint[]) => {
      passTime(2001);
      return Array.prototype.push.apply(kill, ids);
    };

    const termination = await terminate(first, left, reused, last);

    expect(termination).toMatchObject({ killed: [first, last], notFound: [left, reused] });
    expect(nodes.has(reused)).toBe(true);
    expect(nodes.lists).toBe(2);
  });

  it('sends nothing by a list that is too old as soon as it arrives', async () => {
    const { nodes, terminate, passTime } = start();
    const id = nodes.connect();
    nodes.beforeList = () => {
      passTime(2001);
    };

    expect(await terminate(id)).toMatchObject({ killed: [], failed: [id] });
    expect(nodes.kills).toEqual([]);
    expect(nodes.has(id)).toBe(true);
  });

  it('sends nothing when the node cannot be reached', async () => {
    const { nodes, terminate } = start();
    nodes.isReachable = false;

    await expect(terminate(1n)).rejects.toMatchObject({ code: 'node_unavailable' });
  });
});

describe('list', () => {
  it('sorts by id as a number, pages, and counts all', async () => {
    const { nodes, sessions } = start();
    for (const id of ['100', '9', '4294967297', '20']) nodes.connect({ id });
    nodes.connect({ id: '5', user: 'system user', host: null });
    const ids = async (offset: bigint, limit: number): Promise<unknown[]> => {
      const { sessions: shown, total } = await sessions.list(nodeKey, { offset, limit });
      return [shown.map(({ id }) => id), total];
    };

    expect(await ids(0n, 100)).toEqual([[9n, 20n, 100n, 4_294_967_297n], 4]);
    expect(await ids(1n, 2)).toEqual([[20n, 100n], 4]);
    expect(await ids(4n, 100)).toEqual([[], 4]);
    expect(await ids(2n ** 70n, 100)).toEqual([[], 4]);
  });

  it('shows NULL as an empty text and a time below zero as 0', async () => {
    const { nodes, sessions } = start();
    const id = nodes.connect({ db: null, state: null, info: null, time: '-3', host: 'db1:5000' });

    const { sessions: shown } = await sessions.list(nodeKey, { offset: 0n, limit: 1 });

    expect(shown).toEqual([
      {
        id,
        user: 'app',
        host: 'db1:5000',
        db: '',
        command: 'Sleep',
        time: 0n,
        state: '',
        info: '',
      },
    ]);
  });
});

describe('a node that is not there', () => {
  it.each([
    ['instance_not_found', { instanceId: 'b23fb62bd61e4e9e9636fd2225f395bein07' }],
    ['instance_not_found', { projectId: '719d3e78f61b4be68bc5aa0b59edcf7b' }],
    ['node_not_found', { nodeId: '99963926eacb443d98dc20f8620f28f2no07' }],
  ])('is %s', async (code, changes) => {
    const { sessions, nodes } = start();
    const work = sessions.terminate({ ...nodeKey, ...changes }, [1n], () => undefined);
    await expect(work).rejects.toMatchObject({ code });
    expect(nodes.connections).toBe(0);
  });
});
