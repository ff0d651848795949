import { describe, expect, it } from '@jest/globals';
import { SessionService } from '../../src/domain/session-service.ts';
import {
  beginsWith,
  compareStatements,
  type RunningStatement,
} from '../../src/domain/statement.ts';
import type { Entry, Outcome, TerminationRequest } from '../../src/domain/termination.ts';
import { FileRegistry } from '../../src/registry/node-registry.ts';
import { FakeNodes, type Fault } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey } from '../support/ids.ts';

function start() {
  const nodes = new FakeNodes();
  const service = new SessionService({
    registry: new FileRegistry([fakeNode]),
    nodes,
    rules: { internalUsers: [], requireClientPort: true },
  });
  const stop = async (
    ids: readonly bigint[],
    more: Partial<TerminationRequest> = {},
  ): Promise<[bigint, Outcome][]> => entriesOf(await ask(ids, more));
  const ask = async (ids: readonly bigint[], more: Partial<TerminationRequest> = {}) =>
    (
      await service.terminate(nodeKey, {
        ...{ ids, expected: [], scope: 'statement', isDryRun: false, waitMs: undefined },
        ...{ receivedAt: performance.now(), deadline: performance.now() + 30_000 },
        origin: { requestId: '', caller: 'ops', proof: 'token', address: '', reason: undefined },
        record: () => undefined,
        ...more,
      })
    ).entries;
  const busy = (info = 'SELECT 1'): bigint => {
    const id = nodes.connect();
    nodes.run(id, info);
    return id;
  };
  return { nodes, stop, ask, busy };
}

function entriesOf(entries: readonly Entry[]): [bigint, Outcome][] {
  return entries.map(({ id, outcome }) => [id, outcome]);
}

describe('the KILL of a statement without an answer', () => {
  const cases: readonly [Fault, Outcome][] = [
    ['lost, and was carried out', 'killed'],
    ['lost, and had not arrived', 'failed'],
    ['lost, and the old connection cannot be ended', 'unknown'],
    ['lost, and the node restarts', 'unknown'],
    ['lost, and another server takes over', 'unknown'],
  ];

  it.each(cases)('that was %s: it is %s', async (fault, outcome) => {
    const { nodes, stop, busy } = start();
    const [one, other] = [busy(), busy()];
    nodes.faults.set(one, fault);

    expect(await stop([one, other])).toMatchObject([
      [one, outcome],
      [other, expect.any(String)],
    ]);
    expect(nodes.kills.filter((id) => id === one)).toEqual([one]);
  });

  it('is killed if the session runs its next statement by then', async () => {
    const { nodes, stop, busy } = start();
    const id = busy();
    nodes.faults.set(id, 'lost, and was carried out');
    nodes.beforeList = (number) => {
      if (number === 2) nodes.run(id, 'SELECT 2');
    };

    expect(await stop([id])).toEqual([[id, 'killed']]);
    expect(nodes.kills.filter((killed) => killed === id)).toEqual([id]);
  });
});

describe('the statement of a session', () => {
  it('is not ended once the session runs another one', async () => {
    const { nodes, stop, busy } = start();
    const [moved, stays] = [busy(), busy()];
    const audit = { isDue: true };
    nodes.beforeLook = () => {
      if (!audit.isDue) nodes.run(moved, 'SELECT 1');
      audit.isDue = false;
    };

    expect(await stop([moved, stays])).toEqual([
      [moved, 'not_found'],
      [stays, 'killed'],
    ]);
    expect(nodes.kills).toEqual([stays]);
  });

  it('is ended after the previous one in a request for many sessions', async () => {
    const { nodes, stop, busy } = start();
    const ids = Array.from({ length: 40 }, () => busy());
    const idle = nodes.connect();

    const entries = await stop([...ids, idle]);

    expect(entries).toEqual([...ids.map((id) => [id, 'killed']), [idle, 'not_found']]);
    expect([nodes.kills, nodes.batched]).toEqual([ids, 0]);
    expect(ids.every((id) => nodes.has(id))).toBe(true);
  });

  it('is not ended if it does not begin as expected', async () => {
    const { nodes, stop, busy } = start();
    const id = busy('SELECT 12');

    expect(await stop([id], { expected: [{ id, info: 'SELECT 2' }] })).toEqual([[id, 'not_found']]);
    expect(nodes.kills).toEqual([]);
    expect(await stop([id], { expected: [{ id, info: 'SELECT 1' }] })).toEqual([[id, 'killed']]);
  });

  it('fails if the node refuses the KILL, in a dry run too', async () => {
    const { nodes, stop, busy } = start();
    const id = busy();
    nodes.protected.add(id);

    expect(await stop([id], { isDryRun: true })).toEqual([[id, 'failed']]);
    expect(await stop([id])).toEqual([[id, 'failed']]);
  });

  it('is described with the transaction that its session has afterwards', async () => {
    const { nodes, ask, busy } = start();
    const [inTransaction, alone, idle] = [busy(), busy(), nodes.connect()];
    nodes.rollingBack.add(inTransaction);

    const entries = await ask([inTransaction, alone, idle, 7n], { waitMs: 0 });

    expect(entries.map(({ isIdle, isInTransaction }) => [isIdle, isInTransaction])).toEqual([
      [false, true],
      [false, false],
      [true, false],
      [false, undefined],
    ]);
  });

  it('is described without transactions if the node does not show them', async () => {
    const { nodes, ask, busy } = start();
    nodes.canShowRollbacks = false;
    const [entry] = await ask([busy()], { waitMs: 0 });
    expect(entry).toMatchObject({ outcome: 'killed', isInTransaction: undefined });
  });
});

describe('two readings of one session', () => {
  const statement = (changes: Partial<RunningStatement>): RunningStatement => ({
    ...{ id: 5n, isClientsId: false, isKilledById: true, isEnding: false },
    ...{ info: 'SELECT 1', ranMs: 5000 },
    ...changes,
  });
  const byText = { id: undefined, isKilledById: false };
  const byEvent = { isClientsId: true, isKilledById: false, ranMs: 0 };

  it.each<[string, string, Partial<RunningStatement>, Partial<RunningStatement>]>([
    ['the same id', 'same', {}, { ranMs: 5010 }],
    ['the same id, and a time that went back', 'unclear', {}, { ranMs: 5 }],
    ['the same id, and another text', 'routine', {}, { info: 'SELECT 2', ranMs: 5010 }],
    ['another id, and a time before the first look', 'routine', {}, { id: 6n, ranMs: 5010 }],
    ['another id, and a short time', 'unclear', { ranMs: 2 }, { id: 6n, ranMs: 12 }],
    ['another id of the client', 'other', byEvent, { ...byEvent, id: 6n }],
    ['the same text', 'same', byText, { ...byText, ranMs: 5010 }],
    ['the same text, and a time that went back', 'unclear', byText, { ...byText, ranMs: 0 }],
    ['another text', 'unclear', { ...byText, ranMs: 0 }, { ...byText, info: 'SELECT 2', ranMs: 0 }],
  ])('with %s: %s', (_name, relation, first, second) => {
    const seen = { statement: statement(first), askedAt: 1000 };
    expect(compareStatements(seen, statement(second), 1012)).toBe(relation);
  });

  it.each([
    ['SELECT 1', 'SELECT', true],
    ['SELECT 1', 'SELECT 12', false],
    ['x'.repeat(100), 'x'.repeat(300), true],
    ['', 'SELECT', false],
  ])('compare the text %j with %j', (info, expected, isLike) => {
    expect(beginsWith(statement({ info }), expected)).toBe(isLike);
  });
});
