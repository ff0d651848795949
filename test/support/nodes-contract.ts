import { setImmediate } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import type { ControlConnection, Node, Nodes } from '../../src/domain/node.ts';
import { sessionOf, type ProcessListRow, type Session } from '../../src/domain/session.ts';
import { until } from './until.ts';

/** The node under test and the means to act on it. */
export interface Stage {
  readonly nodes: Nodes;
  readonly node: Node;
  /** Connects a client and resolves to the id of its session. */
  openClient(): Promise<bigint>;
  /** Connects a client that the node protects from the control account. Undefined if the node has no such protection. */
  openProtectedClient?(): Promise<bigint>;
  closeClient(id: bigint): Promise<void>;
  /** Resolves to true if the node still has the session. */
  isAlive(id: bigint): Promise<boolean>;
  /** Ends a control connection on the node. */
  endControlConnection(id: bigint): Promise<void>;
  /** The same node with an address that does not answer after `makeUnreachable`. */
  readonly unreachable: Stage['node'];
  /** Makes `unreachable` unreachable. */
  makeUnreachable(): void;
  /** True if the node accepts a KILL for an id without a session, as TiDB does. */
  readonly acceptsAnyKill?: boolean;
}

const ANYTIME = { sendBy: Infinity, deadline: Infinity };

/** Defines the tests that each implementation of `Nodes` must pass. Call it inside `describe`. */
export function nodesContract(stage: () => Stage): void {
  const use = <T>(work: (connection: ControlConnection) => Promise<T>): Promise<T> =>
    stage().nodes.withConnection(stage().node, Infinity, work);
  const ofTheGone = (): string => (stage().acceptsAnyKill === true ? 'killed' : 'not_found');

  it('lists a client with its columns as text, and the control connection exactly once', async () => {
    const id = await stage().openClient();
    await use(async (connection) => {
      const before = performance.now();
      const { rows, askedAt } = await connection.list(Infinity);
      expect(askedAt).toBeGreaterThanOrEqual(before);
      expect(rows.filter((row) => row.id === connection.id.toString())).toHaveLength(1);
      const row = rowOf(rows, id);
      const { user, host, db, command, time, state, info } = row;
      for (const text of [user, host, db, command, time, state, info]) {
        expect(text === null ? 'string' : typeof text).toBe('string');
      }
      expect(command).toBe('Sleep');
      expect(time).toMatch(/^\d+$/);
    });
  });

  it('kills the listed session and no other', async () => {
    const [victim, bystander] = [await stage().openClient(), await stage().openClient()];
    await use(async (connection) => {
      const result = await connection.kill(await listed(connection, victim), ANYTIME);
      expect(result).toEqual({ outcome: 'killed' });
    });
    await until('the victim is gone', async () => !(await stage().isAlive(victim)));
    expect(await stage().isAlive(bystander)).toBe(true);
  });

  it('reports a session as not found if it has left since the list', async () => {
    const id = await stage().openClient();
    await use(async (connection) => {
      const session = await listed(connection, id);
      await stage().closeClient(id);
      await until('the session is gone', async () => !(await stage().isAlive(id)));
      // A server can accept a KILL for a session that is just leaving.
      await until(
        'the node does not know the session',
        async () => (await connection.kill(session, ANYTIME)).outcome === ofTheGone(),
      );
    });
  });

  it('kills many listed sessions in one call and no other, and reports the outcomes in their order', async () => {
    const bystander = await stage().openClient();
    const ids = await openClients(stage(), 70);
    const [gone, ...victims] = ids;
    await use(async (connection) => {
      const { rows } = await connection.list(Infinity);
      await stage().closeClient(gone ?? 0n);
      await until('the node does not know the session', async () => {
        const one = sessionOf(rowOf(rows, gone ?? 0n));
        return (await connection.kill(one, ANYTIME)).outcome === ofTheGone();
      });
      const reported: [bigint, string][] = [];
      const unsent = await connection.killAhead(
        ids.map((id) => sessionOf(rowOf(rows, id))),
        ANYTIME,
        ({ id }, { outcome }) => reported.push([id, outcome]),
      );
      expect(unsent).toEqual([]);
      const expected = ids.map((id) => [id, id === gone ? ofTheGone() : 'killed']);
      expect(reported).toEqual(expected);
      // The connection still works.
      await connection.list(Infinity);
    });
    const areAlive = async (): Promise<readonly boolean[]> =>
      Promise.all(victims.map((id) => stage().isAlive(id)));
    await until('the victims are gone', async () => !(await areAlive()).includes(true));
    expect(await stage().isAlive(bystander)).toBe(true);
  });

  it('predicts no refusal for a session that it ends, and the right reason for one that it refuses', async () => {
    const victim = await stage().openClient();
    const spared = await stage().openProtectedClient?.();
    await use(async (connection) => {
      const session = await listed(connection, victim);
      const sparedSession = spared === undefined ? undefined : await listed(connection, spared);
      const sessions = sparedSession === undefined ? [session] : [session, sparedSession];

      const predicted = await connection.predictRefusals(sessions, Infinity);

      expect(predicted.has(victim)).toBe(false);
      expect(await connection.kill(session, ANYTIME)).toEqual({ outcome: 'killed' });
      if (sparedSession === undefined) return;
      const { outcome, trouble } = await connection.kill(sparedSession, ANYTIME);
      expect(outcome).toBe('refused');
      const reason = predicted.get(sparedSession.id)?.message ?? trouble?.message;
      expect(trouble?.message).toBe(reason);
    });
    if (spared !== undefined) expect(await stage().isAlive(spared)).toBe(true);
  });

  it('rejects with the error of the work, and stays usable', async () => {
    const failure = new Error('the work failed');
    const work = use(async (connection) => {
      await connection.list(Infinity);
      throw failure;
    });
    await expect(work).rejects.toBe(failure);
    await use((connection) => connection.list(Infinity));
  });

  it('returns a list that is not older than the call, even while another list is being read', async () => {
    await use(async (connection) => {
      const begun = performance.now();
      const first = connection.list(Infinity);
      // The statement is sent after the event loop has turned.
      await setImmediate();
      await setImmediate();
      let asked = performance.now();
      while (asked <= begun + 0.1) asked = performance.now();
      const lists = await Promise.all([connection.list(Infinity), connection.list(Infinity)]);
      for (const { askedAt } of lists) expect(askedAt).toBeGreaterThanOrEqual(asked);
      expect((await first).askedAt).toBeLessThan(asked);
    });
  });

  it('reports a control connection that was ended, and sends nothing more', async () => {
    const [first, second] = [await stage().openClient(), await stage().openClient()];
    await use(async (connection) => {
      const sessions = [await listed(connection, first), await listed(connection, second)] as const;
      await stage().endControlConnection(connection.id);
      const outcomes = [
        (await connection.kill(sessions[0], ANYTIME)).outcome,
        (await connection.kill(sessions[1], ANYTIME)).outcome,
      ];
      expect(['unknown', 'not_sent']).toContain(outcomes[0]);
      expect(outcomes[1]).toBe('not_sent');
      const reported: unknown[] = [];
      const unsent = await connection.killAhead(sessions, ANYTIME, (session) =>
        reported.push(session),
      );
      expect([unsent, reported]).toEqual([sessions, []]);
      const lost = { code: 'node_unavailable' };
      await expect(connection.list(Infinity)).rejects.toMatchObject(lost);
      await expect(connection.predictRefusals(sessions, Infinity)).rejects.toMatchObject(lost);
    });
    expect(await stage().isAlive(second)).toBe(true);
  });

  it('does nothing after its deadline', async () => {
    const id = await stage().openClient();
    const late = { code: 'node_unavailable', message: 'The request reached its time limit.' };
    await use(async (connection) => {
      const session = await listed(connection, id);
      const past = performance.now();
      for (const limits of [
        { sendBy: Infinity, deadline: past },
        { sendBy: past, deadline: Infinity },
      ]) {
        expect(await connection.kill(session, limits)).toMatchObject({
          outcome: 'not_sent',
          trouble: late,
        });
        const reported: unknown[] = [];
        const unsent = await connection.killAhead([session], limits, (one) => reported.push(one));
        expect([unsent, reported]).toEqual([[session], []]);
      }
      await expect(connection.list(past)).rejects.toMatchObject(late);
      await expect(connection.describe(session, past)).rejects.toMatchObject(late);
      await expect(connection.transactions(past)).rejects.toMatchObject(late);
      await expect(connection.locks({ rows: [], askedAt: 0 }, past)).rejects.toMatchObject(late);
      await expect(connection.predictRefusals([session], past)).rejects.toMatchObject(late);
      // Nothing was sent over the connection, so it still works.
      await listed(connection, id);
    });
    const { nodes, node } = stage();
    const work = nodes.withConnection(node, performance.now(), () => Promise.resolve());
    await expect(work).rejects.toMatchObject(late);
    expect(await stage().isAlive(id)).toBe(true);
  });

  it('rejects if the node cannot be reached', async () => {
    stage().makeUnreachable();
    const work = stage().nodes.withConnection(stage().unreachable, Infinity, () =>
      Promise.resolve(),
    );
    await expect(work).rejects.toMatchObject({ code: 'node_unavailable' });
  });
}

async function openClients(stage: Stage, count: number): Promise<bigint[]> {
  const ids: bigint[] = [];
  while (ids.length < count) ids.push(await stage.openClient());
  return ids;
}

async function listed(connection: ControlConnection, id: bigint): Promise<Session> {
  return sessionOf(rowOf((await connection.list(Infinity)).rows, id));
}

function rowOf(rows: readonly ProcessListRow[], id: bigint): ProcessListRow & { id: string } {
  const row = rows.find((other) => other.id === id.toString());
  if (row?.id == null) throw new Error(`${id} is not in the process list`);
  return row as ProcessListRow & { id: string };
}
