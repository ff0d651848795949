import { setImmediate } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import type { ControlConnection, Node, Nodes } from '../../src/domain/node.ts';
import { sessionOf, type ProcessListRow, type Session } from '../../src/domain/session.ts';
import { until } from './until.ts';

/** What the suite needs of a node, real or not. */
export interface Stage {
  readonly nodes: Nodes;
  readonly node: Node;
  /** A client connects; its session's id. */
  openClient(): Promise<bigint>;
  /** A client connects that the node protects from the control account; absent where there is no such thing. */
  openProtectedClient?(): Promise<bigint>;
  closeClient(id: bigint): Promise<void>;
  /** Whether the node itself still has the session. */
  isAlive(id: bigint): Promise<boolean>;
  /** Ends a control connection behind its back. */
  endControlConnection(id: bigint): Promise<void>;
  /** The same node, where nobody answers. */
  readonly unreachable: Stage['node'];
  /** What makes `unreachable` so. */
  makeUnreachable(): void;
  /** The node accepts a KILL for an id that nobody has, without a word: TiDB. */
  readonly acceptsAnyKill?: boolean;
}

const ANYTIME = { sendBy: Infinity, deadline: Infinity };

/** What every implementation of Nodes does. Call it inside `describe`. */
export function nodesContract(stage: () => Stage): void {
  const use = <T>(work: (connection: ControlConnection) => Promise<T>): Promise<T> =>
    stage().nodes.withConnection(stage().node, Infinity, work);
  const ofTheGone = (): string => (stage().acceptsAnyKill === true ? 'killed' : 'not_found');

  it('lists a client with its columns as text, and the control connection itself exactly once', async () => {
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

  it('says not found of a session that has left since the list', async () => {
    const id = await stage().openClient();
    await use(async (connection) => {
      const session = await listed(connection, id);
      await stage().closeClient(id);
      await until('it is gone', async () => !(await stage().isAlive(id)));
      // A server may still accept a KILL for a session that is on its way out.
      await until(
        'the node does not know it',
        async () => (await connection.kill(session, ANYTIME)).outcome === ofTheGone(),
      );
    });
  });

  it('kills many listed sessions at once and no other, and tells what came of each in their order', async () => {
    const bystander = await stage().openClient();
    const ids = await openClients(stage(), 70);
    const [gone, ...victims] = ids;
    await use(async (connection) => {
      const { rows } = await connection.list(Infinity);
      await stage().closeClient(gone ?? 0n);
      await until('the node does not know it', async () => {
        const one = sessionOf(rowOf(rows, gone ?? 0n));
        return (await connection.kill(one, ANYTIME)).outcome === ofTheGone();
      });
      const told: [bigint, string][] = [];
      const unsent = await connection.killAhead(
        ids.map((id) => sessionOf(rowOf(rows, id))),
        ANYTIME,
        ({ id }, { outcome }) => told.push([id, outcome]),
      );
      expect(unsent).toEqual([]);
      const expected = ids.map((id) => [id, id === gone ? ofTheGone() : 'killed']);
      expect(told).toEqual(expected);
      // The connection is as good as before.
      await connection.list(Infinity);
    });
    const areAlive = async (): Promise<readonly boolean[]> =>
      Promise.all(victims.map((id) => stage().isAlive(id)));
    await until('the victims are gone', async () => !(await areAlive()).includes(true));
    expect(await stage().isAlive(bystander)).toBe(true);
  });

  it('predicts the refusal of no session that it ends, and the very reason of one that it refuses', async () => {
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

  it('lets the error of the work through, and goes on', async () => {
    const failure = new Error('the work failed');
    const work = use(async (connection) => {
      await connection.list(Infinity);
      throw failure;
    });
    await expect(work).rejects.toBe(failure);
    await use((connection) => connection.list(Infinity));
  });

  it('gives a list that is not older than the question, also while another one is being read', async () => {
    await use(async (connection) => {
      const begun = performance.now();
      const first = connection.list(Infinity);
      // It is sent when the event loop has turned.
      await setImmediate();
      await setImmediate();
      let asked = performance.now();
      while (asked <= begun + 0.1) asked = performance.now();
      const lists = await Promise.all([connection.list(Infinity), connection.list(Infinity)]);
      for (const { askedAt } of lists) expect(askedAt).toBeGreaterThanOrEqual(asked);
      expect((await first).askedAt).toBeLessThan(asked);
    });
  });

  it('tells of a control connection that was ended, and sends nothing more', async () => {
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
      const told: unknown[] = [];
      const unsent = await connection.killAhead(sessions, ANYTIME, (session) => told.push(session));
      expect([unsent, told]).toEqual([sessions, []]);
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
        const told: unknown[] = [];
        const unsent = await connection.killAhead([session], limits, (one) => told.push(one));
        expect([unsent, told]).toEqual([[session], []]);
      }
      await expect(connection.list(past)).rejects.toMatchObject(late);
      await expect(connection.describe(session, past)).rejects.toMatchObject(late);
      await expect(connection.transactions(past)).rejects.toMatchObject(late);
      await expect(connection.locks({ rows: [], askedAt: 0 }, past)).rejects.toMatchObject(late);
      await expect(connection.predictRefusals([session], past)).rejects.toMatchObject(late);
      // It was not spoken to, so it is as good as before.
      await listed(connection, id);
    });
    const { nodes, node } = stage();
    const work = nodes.withConnection(node, performance.now(), () => Promise.resolve());
    await expect(work).rejects.toMatchObject(late);
    expect(await stage().isAlive(id)).toBe(true);
  });

  it('says that a node cannot be reached', async () => {
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
