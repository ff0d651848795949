import { describe, expect, it } from '@jest/globals';
import type { Node } from '../../src/domain/node.ts';
import { SessionService } from '../../src/domain/session-service.ts';
import type {
  Kill,
  Origin,
  Outcome,
  Termination,
  TerminationRequest,
} from '../../src/domain/termination.ts';
import { FileRegistry } from '../../src/registry/node-registry.ts';
import { FakeNodes, type Fault } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey } from '../support/ids.ts';
import { transaction } from './lock-readings.ts';

const ORIGIN: Origin = {
  requestId: '0'.repeat(32),
  caller: 'ops',
  proof: 'token',
  address: '192.0.2.1',
  reason: undefined,
};

const ANY_CALLER = { caller: 'any caller', deadline: Infinity };

function start(changes: Partial<Node> = {}, requireClientPort = true) {
  const nodes = new FakeNodes();
  let later = 0;
  nodes.clock = () => performance.now() + later;
  const shared: unknown[] = [];
  const stopping = new AbortController();
  const sessions = new SessionService({
    registry: new FileRegistry([{ ...fakeNode, ...changes }]),
    nodes,
    rules: { internalUsers: ['nagios'], requireClientPort },
    onSharedAccount: (node) => shared.push(node),
    stopping: stopping.signal,
    now: nodes.clock,
  });
  const records: Kill[] = [];
  const ask = (ids: readonly bigint[], more: Partial<TerminationRequest> = {}) =>
    sessions.terminate(nodeKey, {
      ids,
      expected: [],
      isDryRun: false,
      waitMs: undefined,
      receivedAt: nodes.clock(),
      deadline: nodes.clock() + 30_000,
      origin: ORIGIN,
      record: (kill) => records.push(kill),
      ...more,
    });
  return {
    nodes,
    sessions,
    stop: () => {
      stopping.abort();
    },
    records,
    shared,
    ask,
    terminate: async (...ids: bigint[]) => idsByOutcome(await ask(ids)),
    passTime: (ms: number) => (later += ms),
  };
}

/** Returns the ids by outcome, in order, without outcomes that have no id. */
function idsByOutcome({ entries }: Termination): Partial<Record<Outcome, bigint[]>> {
  const ids: Partial<Record<Outcome, bigint[]>> = {};
  for (const { id, outcome } of entries) (ids[outcome] ??= []).push(id);
  return ids;
}

type Four = [bigint, bigint, bigint, bigint];

describe('terminate', () => {
  it('keeps the order of the request and counts a repeated id once', async () => {
    const { nodes, terminate } = start();
    const [a, b] = [nodes.connect(), nodes.connect()];

    expect(await terminate(99n, b, a, b, 98n, 99n)).toEqual({
      killed: [b, a],
      not_found: [99n, 98n],
    });
    expect(nodes.kills).toEqual([b, a]);
  });

  it('keeps ids exact beyond 2^53', async () => {
    const { nodes, terminate } = start();
    const id = 5_857_102_839_209_263_511n;
    nodes.connect({ id: id.toString() });
    nodes.connect({ id: (id + 1n).toString() });

    expect(await terminate(id)).toEqual({ killed: [id] });
    expect(nodes.has(id + 1n)).toBe(true);
  });

  it.each([
    ['a daemon', { user: 'event_scheduler', host: 'localhost', command: 'Daemon' }],
    ['an internal account of the service', { user: 'Nagios' }],
    ['an internal account of the node', { user: 'backup' }],
    ['the control account', { user: 'session_control' }],
  ])('sends no KILL to %s, and reports it as not found', async (_who, changes) => {
    const { nodes, terminate, records } = start({ internalUsers: ['backup'] });
    const id = nodes.connect(changes);

    expect(await terminate(id)).toEqual({ not_found: [id] });
    expect([nodes.kills, records]).toEqual([[], []]);
  });

  it('continues after an id that the node refuses to end', async () => {
    const { nodes, terminate } = start();
    const [first, refused, last] = [nodes.connect(), nodes.connect(), nodes.connect()];
    nodes.faults.set(refused, 'refused');

    expect(await terminate(first, refused, last)).toEqual({
      killed: [first, last],
      failed: [refused],
    });
  });

  it('reads the list again after 2 s, and kills only sessions that are still listed', async () => {
    const { nodes, terminate, passTime } = start();
    const [first, left, reused, last] = [1, 2, 3, 4].map(() => nodes.connect()) as Four;
    nodes.beforeList = (number) => {
      if (number === 1) return;
      nodes.connect({ id: last.toString(), user: 'definer' });
      nodes.disconnect(left);
      nodes.connect({ id: reused.toString(), host: '10.9.9.9:51002' });
    };
    const { kills } = nodes;
    kills.push = (...ids: bigint[]) => {
      passTime(2001);
      return Array.prototype.push.apply(kills, ids);
    };

    expect(await terminate(first, left, reused, last)).toEqual({
      killed: [first, last],
      not_found: [left, reused],
    });
    expect(nodes.has(reused)).toBe(true);
    expect(nodes.lists).toBe(2);
  });

  it('sends no KILL by a list that arrives too old', async () => {
    const { nodes, terminate, passTime } = start();
    const id = nodes.connect();
    nodes.beforeList = () => {
      passTime(2001);
    };

    expect(await terminate(id)).toEqual({ failed: [id] });
    expect(nodes.kills).toEqual([]);
  });

  it('fails if the node cannot be reached', async () => {
    const { nodes, terminate } = start();
    nodes.isReachable = false;

    await expect(terminate(1n)).rejects.toMatchObject({ code: 'node_unavailable' });
  });

  it('sends no KILL to an incarnation that may have begun after the request arrived', async () => {
    const { nodes, ask } = start();
    const id = nodes.connect();
    const receivedAt = nodes.clock();
    nodes.begunBy = receivedAt + 1;

    await expect(ask([id], { receivedAt })).rejects.toMatchObject({
      message: expect.stringContaining('started again') as unknown,
    });
    expect(nodes.kills).toEqual([]);
    expect(idsByOutcome(await ask([id], { receivedAt: nodes.begunBy }))).toEqual({ killed: [id] });
  });

  it('never kills an id that was an internal thread earlier in this incarnation', async () => {
    const { nodes, terminate, sessions } = start();
    const id = nodes.connect({
      id: '900',
      user: 'system user',
      host: 'connecting host',
      command: 'Connect',
    });
    await sessions.list(nodeKey, { offset: 0n, limit: 1 }, ANY_CALLER);
    const asClient = { id: id.toString(), user: 'app', host: '10.0.0.4:5000' };
    nodes.connect(asClient);
    expect(await terminate(id)).toEqual({ not_found: [id] });

    nodes.server = 'stands in';
    await terminate(1n);
    nodes.server = 'fake';
    expect(await terminate(id)).toEqual({ not_found: [id] });

    nodes.restart();
    nodes.begunBy = 0;
    nodes.connect(asClient);
    expect(await terminate(id)).toEqual({ killed: [id] });
  });

  it('kills a client that was listed earlier during its login', async () => {
    const { nodes, terminate, sessions } = start();
    const id = nodes.connect({ id: '901', user: 'unauthenticated user', command: 'Connect' });
    await sessions.list(nodeKey, { offset: 0n, limit: 1 }, ANY_CALLER);
    nodes.connect({ id: '901' });
    expect(await terminate(id)).toEqual({ killed: [id] });
  });

  it('reports foreign sessions under the control account', async () => {
    const { nodes, terminate, shared } = start();
    await terminate(1n);
    expect(shared).toHaveLength(0);
    nodes.connect({ user: 'Session_Control' });
    await terminate(1n);
    expect(shared).toHaveLength(1);
  });

  it.each([
    ['another user', { user: 'other' }],
    ['another host', { host: '10.0.0.4:50000' }],
  ])('spares a session of the Unix socket that has %s in a later list', async (_what, changes) => {
    const { nodes, terminate, passTime } = start({}, false);
    const socket = { id: '5', host: 'localhost' };
    const [slow, id] = [nodes.connect(), nodes.connect(socket)];
    const { kills } = nodes;
    kills.push = (...ids: bigint[]) => {
      passTime(2500);
      nodes.connect({ ...socket, ...changes });
      return Array.prototype.push.apply(kills, ids);
    };
    expect(await terminate(slow, id)).toEqual({ killed: [slow], not_found: [id] });
    expect([...kills]).toEqual([slow]);
  });

  it('reads the list again if it became too old while a KILL waited', async () => {
    const { nodes, terminate, passTime } = start();
    const [first, reused] = [nodes.connect(), nodes.connect()];
    let waits = 0;
    nodes.beforeKill = () => {
      waits += 1;
      if (waits !== 2) return;
      passTime(2500);
      nodes.connect({ id: reused.toString(), host: '10.9.9.9:1' });
    };
    expect(await terminate(first, reused)).toEqual({ killed: [first], not_found: [reused] });
    expect([[...nodes.kills], nodes.lists, nodes.connections]).toEqual([[first], 2, 1]);
  });

  it('sends no KILL after its deadline', async () => {
    const { nodes, ask, passTime } = start();
    const [first, second] = [nodes.connect(), nodes.connect()];
    const { kills } = nodes;
    kills.push = (...ids: bigint[]) => {
      passTime(1500);
      return Array.prototype.push.apply(kills, ids);
    };

    const termination = await ask([first, second], { deadline: nodes.clock() + 1000 });

    expect(idsByOutcome(termination)).toEqual({ killed: [first], failed: [second] });
  });
});

describe('a KILL without an answer', () => {
  // The KILL of the second of three sessions meets the fault. Each reported outcome must be the actual one.
  const cases: readonly [Fault, Outcome, Outcome, boolean][] = [
    ['lost, and was carried out', 'killed', 'killed', false],
    ['lost, and marked the session', 'killed', 'killed', true],
    ['lost, and had not arrived', 'failed', 'killed', true],
    ['lost, and waits in the old connection', 'failed', 'killed', true],
    ['lost, and the old connection cannot be ended', 'unknown', 'killed', true],
    ['lost, and the node restarts', 'unknown', 'failed', false],
    ['lost, and another server takes over', 'unknown', 'failed', true],
  ];

  it.each(cases)(
    'that was %s: its outcome is %s, and that of the next KILL is %s',
    async (fault, second, third, lives) => {
      const { nodes, terminate, records } = start();
      const [a, b, c] = [nodes.connect(), nodes.connect(), nodes.connect()];
      nodes.faults.set(b, fault);

      const outcome = await terminate(7n, a, b, c);

      const expected: Partial<Record<Outcome, bigint[]>> = { not_found: [7n], killed: [a] };
      (expected[second] ??= []).push(b);
      (expected[third] ??= []).push(c);
      expect(outcome).toEqual(expected);
      nodes.deliverLate();
      expect(nodes.has(b)).toBe(lives);
      // The KILL is never sent twice, whatever its outcome.
      expect(nodes.kills.filter((id) => id === b)).toEqual([b]);
      const clients = records.filter(({ session }) => session.user === 'app');
      expect(clients.map(({ session }) => session.id)).toEqual([a, b, c]);
      expect(records.map(({ session }) => session.id)).toEqual(
        expect.arrayContaining([...nodes.kills]),
      );
    },
  );

  it('is resolved for each lost connection, and no old connection still holds a KILL', async () => {
    const { nodes, terminate } = start();
    const [a, b, c] = [nodes.connect(), nodes.connect(), nodes.connect()];
    nodes.faults.set(a, 'lost, and waits in the old connection');
    nodes.faults.set(b, 'lost, and waits in the old connection');

    expect(await terminate(a, b, c)).toEqual({ failed: [a, b], killed: [c] });

    nodes.deliverLate();
    expect([nodes.has(a), nodes.has(b), nodes.has(c)]).toEqual([true, true, false]);
  });

  it('is unknown on a server that lists killed sessions', async () => {
    const { nodes, terminate } = start();
    nodes.listsTheDying = true;
    const id = nodes.connect();
    nodes.faults.set(id, 'lost, and had not arrived');
    expect(await terminate(id)).toEqual({ unknown: [id] });
  });

  it('is unknown for a session whose state the server reports as Busy', async () => {
    const { nodes, terminate } = start();
    const id = nodes.connect({ state: 'Busy' });
    nodes.faults.set(id, 'lost, and had not arrived');
    expect(await terminate(id)).toEqual({ unknown: [id] });
  });

  it('is unknown if the node stays unreachable, and the other ids have failed', async () => {
    const { nodes, terminate } = start();
    const [a, b] = [nodes.connect(), nodes.connect()];
    nodes.faults.set(a, 'lost, and was carried out');
    const { kills } = nodes;
    kills.push = (...ids: bigint[]) => {
      nodes.isReachable = false;
      return Array.prototype.push.apply(kills, ids);
    };
    expect(await terminate(a, b)).toEqual({ unknown: [a], failed: [b] });
  });

  it('is resolved while the service stops, and the request completes, but a new request is refused', async () => {
    const { nodes, terminate, stop } = start();
    const [a, b] = [nodes.connect(), nodes.connect()];
    nodes.faults.set(a, 'lost, and was carried out');
    nodes.beforeList = stop;
    expect(await terminate(a, b)).toEqual({ killed: [a, b] });
    await expect(terminate(a)).rejects.toMatchObject({ code: 'stopping' });
  });

  it('several times in a row costs four connections, and every outcome is right', async () => {
    const { nodes, terminate } = start();
    const ids = Array.from({ length: 8 }, () => nodes.connect());
    for (const id of ids.slice(0, 6)) nodes.faults.set(id, 'lost, and was carried out');

    const { killed = [], unknown = [], failed = [] } = await terminate(...ids);

    expect(nodes.connections).toBe(4);
    expect([...killed, ...unknown, ...failed].sort()).toEqual([...ids].sort());
    expect(failed.filter((id) => !nodes.has(id))).toEqual([]);
    expect(killed.filter((id) => nodes.has(id))).toEqual([]);
  });
});

describe('many KILLs of one request', () => {
  it('are sent in the order of the request, with internal, gone and refused ids in order', async () => {
    const { nodes, terminate } = start();
    const ids = Array.from({ length: 40 }, () => nodes.connect());
    const internal = nodes.connect({ user: 'event_scheduler', host: 'localhost' });
    const [refused, gone] = [ids[7] ?? 0n, ids[30] ?? 0n];
    nodes.faults.set(refused, 'refused');
    nodes.disconnect(gone);

    const killed = ids.filter((id) => id !== refused && id !== gone);
    expect(await terminate(...ids, internal)).toEqual({
      killed,
      not_found: [gone, internal],
      failed: [refused],
    });
    expect(nodes.kills).toEqual(ids.filter((id) => id !== gone));
    expect(nodes.connections).toBe(1);
  });

  it('are offered as one batch with each list if the node accepts no batch', async () => {
    const { nodes, terminate, passTime } = start();
    nodes.handsBatchesBack = true;
    const ids = Array.from({ length: 1000 }, () => nodes.connect());
    let kills = 0;
    nodes.beforeKill = () => {
      kills += 1;
      if (kills === 500) passTime(2_100);
    };

    expect(await terminate(...ids)).toEqual({ killed: ids });
    expect([nodes.kills, nodes.lists]).toEqual([ids, 2]);
    // The first list kills 499, the second one the next session alone, then the other 500.
    expect(nodes.batched).toBe(1000 + 500);
  });

  it('are resolved together if the connection breaks, and no KILL is sent twice', async () => {
    const { nodes, terminate } = start();
    const ids = Array.from({ length: 40 }, () => nodes.connect());
    const broken = ids[10] ?? 0n;
    nodes.faults.set(broken, 'lost, and was carried out');
    const failed = ids.slice(11, 16);

    const answer = await terminate(...ids);

    expect(answer).toEqual({ killed: ids.filter((id) => !failed.includes(id)), failed });
    expect(failed.every((id) => nodes.has(id))).toBe(true);
    expect(nodes.kills.filter((id) => ids.includes(id))).toEqual(ids);
    expect(nodes.connections).toBe(2);
  });

  it('are sent by a new list once the first list is too old', async () => {
    const { nodes, terminate, passTime } = start();
    const ids = Array.from({ length: 40 }, () => nodes.connect());
    const gone = ids[39] ?? 0n;
    let kills = 0;
    nodes.beforeKill = () => {
      kills += 1;
      if (kills !== 10) return;
      passTime(2_100);
      nodes.disconnect(gone);
      nodes.connect({ id: gone.toString(), host: '10.0.0.9:6000' });
    };

    expect(await terminate(...ids)).toEqual({ killed: ids.slice(0, 39), not_found: [gone] });
    expect(nodes.lists).toBe(2);
    expect(nodes.has(gone)).toBe(true);
  });
});

describe('a dry run', () => {
  it('reports the sessions that would be killed, and sends no KILL', async () => {
    const { nodes, ask, records } = start();
    const id = nodes.connect();
    const termination = await ask([id, 5n], { isDryRun: true });
    expect(idsByOutcome(termination)).toEqual({ killed: [id], not_found: [5n] });
    expect(termination.isDryRun).toBe(true);
    expect([nodes.kills, records, nodes.has(id)]).toEqual([[], [], true]);
  });
});

describe('a dry run of protected sessions', () => {
  it('fails for the sessions that the node reports as protected', async () => {
    const { nodes, ask, records } = start();
    const [id, spared, secret] = [nodes.connect(), nodes.connect(), nodes.connect()];
    nodes.protected.add(spared).add(secret);
    const termination = await ask([spared, id, 5n], { isDryRun: true });
    expect(idsByOutcome(termination)).toEqual({ killed: [id], failed: [spared], not_found: [5n] });
    expect(termination.trouble?.message).toBe('The node protects a session.');
    nodes.canPredict = false;
    expect(idsByOutcome(await ask([secret], { isDryRun: true }))).toEqual({ killed: [secret] });
    expect([nodes.kills, records]).toEqual([[], []]);
  });
});

describe('the expected user or host of a session', () => {
  const HOST = '10.0.0.4:51234';
  it.each([
    ['the same host and port', { host: HOST }, true],
    ['another port', { host: '10.0.0.4:51235' }, false],
    ['the same host and port under another user', { host: HOST, user: 'owner' }, true],
    ['the host without a port', { host: '10.0.0.4' }, true],
    ['the host without a port under another user', { host: '10.0.0.4', user: 'owner' }, false],
    ['another host', { host: '10.0.0.5' }, false],
    ['the same user', { user: 'app' }, true],
    ['another user', { user: 'App' }, false],
  ])('allows or prevents the KILL: %s', async (_what, expectation, isKilled) => {
    const { nodes, ask } = start();
    const [id, other] = [nodes.connect({ host: HOST }), nodes.connect()];
    const expected = [{ id, ...expectation }];

    const outcome = idsByOutcome(await ask([id, other], { expected }));

    expect(outcome).toEqual(
      isKilled ? { killed: [id, other] } : { not_found: [id], killed: [other] },
    );
    expect(nodes.has(id)).toBe(!isKilled);
  });

  it('may be an IPv6 address', async () => {
    const { nodes, ask } = start();
    const [a, b] = [nodes.connect({ host: '::1:51234' }), nodes.connect({ host: '::1:51235' })];
    const expected = [
      { id: a, host: '::1' },
      { id: b, host: '::2' },
    ];
    expect(idsByOutcome(await ask([a, b], { expected }))).toEqual({ killed: [a], not_found: [b] });
  });
});

describe('the wait after a kill', () => {
  const fates = ({ entries }: Termination) => entries.map(({ fate }) => fate);

  it('ends once all sessions have left', async () => {
    const { nodes, ask } = start();
    const [a, b] = [nodes.connect(), nodes.connect()];
    nodes.leaving.add(b);
    nodes.beforeList = (number) => {
      if (number === 4) nodes.disconnect(b);
    };
    expect(fates(await ask([a, b, 5n], { waitMs: 60_000 }))).toEqual(['gone', 'gone', undefined]);
    expect(nodes.lists).toBe(4);
  });

  it('ends at its timeout, and reports the sessions that are still listed', async () => {
    const { nodes, ask } = start();
    const [a, b, c] = [nodes.connect(), nodes.connect(), nodes.connect()];
    nodes.leaving.add(b);
    nodes.rollingBack.add(c);
    expect(fates(await ask([a, b, c], { waitMs: 100 }))).toEqual([
      'gone',
      'leaving',
      'rolling_back',
    ]);
    expect(fates(await ask([b], { waitMs: 0 }))).toEqual(['leaving']);
  });

  it('estimates the rest of a rollback from the fall of its rows', async () => {
    const { nodes, ask, passTime } = start();
    const [slow, stuck, unseen] = [nodes.connect(), nodes.connect(), nodes.connect()];
    for (const id of [stuck, unseen]) nodes.leaving.add(id);
    let rows = 12_000n;
    const rollback = (rowsModified: bigint) => transaction({ state: 'ROLLING BACK', rowsModified });
    nodes.beforeTransactions = () => {
      rows -= 1000n;
      nodes.openTransactions.set(slow, rollback(rows));
      nodes.openTransactions.set(stuck, rollback(7n));
      passTime(500);
    };
    const { entries } = await ask([slow, stuck, unseen], { waitMs: 1200, deadline: Infinity });
    // 11,000 rows, then 10,000 and 9,000, each half a second later or a little more.
    expect(entries.map(({ fate, rollback: left }) => [fate, left])).toEqual([
      ['rolling_back', { rowsLeft: 9000n, secondsLeft: expect.any(BigInt) as unknown }],
      ['rolling_back', { rowsLeft: 7n, secondsLeft: undefined }],
      ['leaving', undefined],
    ]);
    const seconds = entries[0]?.rollback?.secondsLeft;
    expect(seconds).toBeGreaterThanOrEqual(5n);
    const once = await ask([stuck], { waitMs: 0, deadline: Infinity });
    expect(once.entries.map(({ rollback: left }) => left)).toEqual([
      { rowsLeft: 7n, secondsLeft: undefined },
    ]);
  });

  it('does not report a session as gone if the node hides rollbacks', async () => {
    const { nodes, ask } = start();
    nodes.canShowRollbacks = false;
    expect(fates(await ask([nodes.connect()], { waitMs: 0 }))).toEqual(['leaving']);
  });

  it('repeats the KILL of a session that ignored it, once, and only after a second', async () => {
    const { nodes, ask, passTime, records } = start();
    const [id, marked] = [nodes.connect(), nodes.connect()];
    nodes.asleep.add(id);
    nodes.leaving.add(marked);
    nodes.beforeList = (number) => {
      if (number === 3) expect(nodes.kills).toEqual([id, marked]);
      if (number === 4) passTime(1000);
      if (number === 6) nodes.disconnect(marked);
    };
    expect(fates(await ask([id, marked], { waitMs: 60_000 }))).toEqual(['gone', 'gone']);
    expect(nodes.kills).toEqual([id, marked, id]);
    expect(records.map(({ session }) => session.id)).toEqual([id, marked, id]);
  });

  it('ends with one last list when the service stops', async () => {
    const { nodes, ask, stop } = start();
    const id = nodes.connect();
    nodes.leaving.add(id);
    nodes.beforeList = (number) => {
      if (number === 3) stop();
    };
    const termination = await ask([id], { waitMs: 3_600_000, deadline: Infinity });
    expect(fates(termination)).toEqual(['leaving']);
    expect(nodes.lists).toBe(4);
  });

  it('has its full timeout after slow kills', async () => {
    const { nodes, ask, passTime } = start();
    const id = nodes.connect();
    nodes.leaving.add(id);
    const { kills } = nodes;
    kills.push = (...ids: bigint[]) => {
      passTime(29_900);
      return Array.prototype.push.apply(kills, ids);
    };
    nodes.beforeList = (number) => {
      if (number === 5) nodes.disconnect(id);
    };
    expect(fates(await ask([id], { waitMs: 30_000 }))).toEqual(['gone']);
  });

  it('changes no outcome if its connection breaks', async () => {
    const { nodes, ask } = start();
    const id = nodes.connect();
    nodes.leaving.add(id);
    nodes.beforeList = (number) => {
      if (number === 3) throw new Error('broken');
    };
    const termination = await ask([id], { waitMs: 60_000 });
    expect(idsByOutcome(termination)).toEqual({ killed: [id] });
    expect(fates(termination)).toEqual(['leaving']);
  });
});

describe('list', () => {
  it('sorts by id as a number, pages, and counts all', async () => {
    const { nodes, sessions } = start();
    for (const id of ['100', '9', '4294967297', '20']) nodes.connect({ id });
    nodes.connect({ id: '5', user: 'system user', host: null });
    const ids = async (offset: bigint, limit: number): Promise<unknown[]> => {
      const { sessions: shown, total } = await sessions.list(
        nodeKey,
        { offset, limit },
        ANY_CALLER,
      );
      return [shown.map(({ id }) => id), total];
    };

    expect(await ids(0n, 100)).toEqual([[9n, 20n, 100n, 4_294_967_297n], 4]);
    expect(await ids(1n, 2)).toEqual([[20n, 100n], 4]);
    expect(await ids(4n, 100)).toEqual([[], 4]);
    expect(await ids(2n ** 70n, 100)).toEqual([[], 4]);
  });

  it('takes later pages of a caller from the same list for two seconds, but never the first page', async () => {
    const { nodes, sessions, passTime } = start();
    for (let n = 0; n < 3; n += 1) nodes.connect();
    const ids = async (offset: bigint, caller = 'one'): Promise<unknown[]> => {
      const page = { offset, limit: 1 };
      const shown = await sessions.list(nodeKey, page, { caller, deadline: Infinity });
      return shown.sessions.map(({ id }) => id);
    };
    expect(await ids(0n)).toEqual([1000n]);
    nodes.disconnect(1000n);
    expect([await ids(1n), await ids(2n), nodes.lists]).toEqual([[1001n], [1002n], 1]);
    expect([await ids(1n, 'two'), nodes.lists]).toEqual([[1002n], 2]);
    passTime(2100);
    expect([await ids(1n), nodes.lists]).toEqual([[1002n], 3]);
    expect([await ids(0n), nodes.lists]).toEqual([[1001n], 4]);
  });

  it('shows NULL as an empty text, and a negative time as 0', async () => {
    const { nodes, sessions } = start();
    const id = nodes.connect({ db: null, state: null, info: null, time: '-3', host: 'db1:5000' });

    const { sessions: shown } = await sessions.list(nodeKey, { offset: 0n, limit: 1 }, ANY_CALLER);

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

describe('a node that the registry does not have', () => {
  it.each([
    ['instance_not_found', { instanceId: 'b23fb62bd61e4e9e9636fd2225f395bein07' }],
    ['instance_not_found', { projectId: '719d3e78f61b4be68bc5aa0b59edcf7b' }],
    ['node_not_found', { nodeId: '99963926eacb443d98dc20f8620f28f2no07' }],
  ])('fails with %s', async (code, changes) => {
    const { sessions, nodes } = start();
    const work = sessions.list({ ...nodeKey, ...changes }, { offset: 0n, limit: 1 }, ANY_CALLER);
    await expect(work).rejects.toMatchObject({ code });
    expect(nodes.connections).toBe(0);
  });
});
