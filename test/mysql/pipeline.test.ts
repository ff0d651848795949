import type { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import type { KillLimits } from '../../src/domain/node.ts';
import { sessionOf } from '../../src/domain/session.ts';
import { ServiceError } from '../../src/errors.ts';
import { openConnection } from '../../src/mysql/driver/open-connection.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import {
  answerLate,
  columns,
  ordinary,
  scriptedNode,
  type Script,
} from '../support/scripted-node.ts';
import { until } from '../support/until.ts';

describe('many KILLs on one connection', () => {
  const ids = Array.from({ length: 200 }, (_, index) => index + 1);
  const SOON = { sendBy: Infinity, deadline: Infinity };

  /** Sends all KILLs to a scripted server. */
  async function killAll(
    onKill: Script,
    limits = (): KillLimits => SOON,
  ): Promise<{ heard: number; told: string[]; unsent: number; isUsable: boolean }> {
    let heard = 0;
    const hears: Script = (sql, connection) => {
      heard += 1;
      onKill(sql, connection);
    };
    const node = await scriptedNode(ordinary(hears));
    const told: string[] = [];
    return new MysqlNodes().withConnection(node, Infinity, async (connection) => {
      const sessions = ids.map((id) => {
        const [Id, Host] = [id.toString(), '10.0.0.4:5000'];
        return sessionOf({ ...NOBODY, id: Id, host: Host });
      });
      const unsent = await connection.killAhead(sessions, limits(), ({ id }, { outcome }) => {
        expect(id).toBe(BigInt(told.length + 1));
        told.push(outcome);
      });
      const isUsable = await connection.list(Infinity).then(
        () => true,
        () => false,
      );
      return { heard, told, unsent: unsent.length, isUsable };
    });
  }

  const at =
    (id: number, script: Script): Script =>
    (sql, connection) => {
      if (sql === `KILL CONNECTION ${id}`) script(sql, connection);
      else connection.writeOk();
    };
  /** Like a real server, the script answers no statement after an unanswered one. */
  const from =
    (id: number, script: Script): Script =>
    (sql, connection) => {
      const number = Number(sql.split(' ').at(-1));
      if (number === id) script(sql, connection);
      else if (number < id) connection.writeOk();
    };
  const count = (told: readonly string[], outcome: string): number =>
    told.filter((one) => one === outcome).length;

  it.each([
    [1094, 'not_found'],
    [1095, 'refused'],
    [1227, 'refused'],
  ])('continue after error %i', async (code, outcome) => {
    const answer = await killAll(
      at(50, (_sql, connection) => {
        connection.writeError({ code, message: 'as scripted' });
      }),
    );
    expect(answer).toMatchObject({ heard: 200, unsent: 0, isUsable: true });
    expect(answer.told[49]).toBe(outcome);
    expect(count(answer.told, 'killed')).toBe(199);
  });

  it.each<[string, Script]>([
    ['no answer', () => undefined],
    [
      'the end of our connection',
      (_sql, connection) => {
        connection.writeError({ code: 1317, message: 'as scripted' });
      },
    ],
    [
      'a lost connection',
      (_sql, connection) => {
        (connection as unknown as { stream: Socket }).stream.destroy();
      },
    ],
    [
      'rows',
      (_sql, connection) => {
        connection.writeTextResult([{ a: 'b' }], columns(['a']));
      },
    ],
  ])(
    'are unknown if they were sent, and stay unsent otherwise, after one that gets %s',
    async (_what, script) => {
      const { told, unsent, isUsable } = await killAll(from(100, script));
      expect(told.slice(0, 99)).toEqual(Array.from({ length: 99 }, () => 'killed'));
      expect(count(told, 'unknown')).toBe(told.length - 99);
      expect(count(told, 'unknown')).toBeLessThanOrEqual(64);
      expect(unsent).toBe(200 - told.length);
      expect(isUsable).toBe(false);
    },
  );

  it('are at most 64 ahead of the answers', async () => {
    const { heard, told, unsent } = await killAll(() => undefined);
    expect([told.length, unsent]).toEqual([64, 136]);
    expect(heard).toBeLessThanOrEqual(64);
  });

  it('are no longer sent once the list is too old, and those already sent are reported', async () => {
    let sendBy = 0;
    const held: (() => void)[] = [];
    const hold: Script = (sql, connection) => {
      if (Number(sql.split(' ').at(-1)) < 20) connection.writeOk();
      else {
        held.push(() => {
          answerLate(connection);
        });
      }
    };
    void until('the list is too old', () => sendBy > 0 && performance.now() > sendBy).then(() => {
      for (const answer of held) answer();
    });
    const { told, unsent, isUsable } = await killAll(hold, () => {
      sendBy = performance.now() + 150;
      return { sendBy, deadline: Infinity };
    });
    expect(told).toEqual(told.map(() => 'killed'));
    expect(told.length).toBeGreaterThanOrEqual(64);
    expect(told.length).toBeLessThan(200);
    expect(unsent).toBe(200 - told.length);
    expect(isUsable).toBe(true);
  });

  it('are no longer sent once `unless` forbids it, and those already sent are reported', async () => {
    const node = await scriptedNode(
      ordinary((_sql, connection) => {
        connection.writeOk();
      }),
    );
    const connection = await openConnection(node, node, Infinity);
    const told: unknown[] = [];
    const unless = () => (told.length < 100 ? undefined : new ServiceError('node_unavailable'));
    const statements = ids.map((id) => `KILL CONNECTION ${id}`);
    const { sent, trouble } = await connection.queryAhead(
      statements,
      1000,
      { ...SOON, unless },
      (error) => told.push(error),
    );
    expect(trouble).toBeUndefined();
    expect(sent).toBeGreaterThanOrEqual(100);
    expect(sent).toBeLessThan(200);
    expect(told).toEqual(Array.from({ length: sent }, () => undefined));
    connection.close();
  });
});

const NOBODY = { user: '', db: '', command: '', time: '', state: '', info: '' };
