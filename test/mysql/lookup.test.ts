import type { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import {
  client,
  columns,
  ordinary,
  own,
  scriptedNode,
  type Script,
} from '../support/scripted-node.ts';
import { createService, type Answer } from '../support/service.ts';

const CLIENT = {
  NAME: 'thread/sql/one_connection',
  CONNECTION_TYPE: 'TCP/IP',
  PROCESSLIST_USER: 'app',
};
const NO_THREAD = { NAME: null, CONNECTION_TYPE: null, PROCESSLIST_USER: null };
const COLUMNS = ['ID', 'USER', 'HOST', 'DB', 'COMMAND', 'TIME', 'STATE', 'INFO'];
const MANY = Array.from({ length: 600 }, (_, index) => client(index + 1000));

type Row = Record<string, string | null>;

/** Returns the row of `performance_schema` for a row of the process list. */
function seen(row: Row, more: Row = CLIENT): Row {
  const values = Object.values(row);
  const named = COLUMNS.map((name, index) => [name, values[index] ?? null] as const);
  return { ...Object.fromEntries<string | null>(named), ...more };
}

/** The ids that a lookup asks for. */
function askedIds(sql: string): string[] {
  return / IN \((.*)\)$/.exec(sql)?.[1]?.split(', ') ?? [];
}

describe('sessions of a long list that are looked up', () => {
  /** Requests two kills of the session with this lookup. Returns the answers and the statements after the first list. */
  async function kill(id: number, lookUp: Script): Promise<{ heard: string[]; answers: Answer[] }> {
    const heard: string[] = [];
    const node = await scriptedNode(
      ordinary(
        (sql, connection) => {
          if (sql.includes('performance_schema')) lookUp(sql, connection);
          else connection.writeOk();
        },
        { rows: MANY, onEach: (sql) => void heard.push(sql.replace(/ p\.ID, .*/, '')) },
      ),
    );
    const nodes = new MysqlNodes();
    const service = createService({ registry: [node], nodes });
    await service.list();
    heard.length = 0;
    const answers = [await service.kill([BigInt(id)]), await service.kill([BigInt(id)])];
    nodes.close();
    return { heard, answers };
  }

  const shows =
    (...rows: Row[]): Script =>
    (sql, connection) => {
      const wanted = rows.filter(({ ID: id }) => askedIds(sql).includes(id ?? ''));
      const hasOwnOpinion = !sql.includes('IF(p.ID = 77, NULL, p.ID)');
      const told = wanted.map((row) =>
        row['ID'] === '77' && !hasOwnOpinion ? { ...row, ...NO_THREAD } : row,
      );
      connection.writeTextResult(told, columns([...COLUMNS, ...Object.keys(CLIENT)]));
    };
  const killed = { processes_killed: [1001n], processes_not_found: [] };
  const notFound = { processes_killed: [], processes_not_found: [1001n] };

  it('are ended if both views show them as clients', async () => {
    const { heard, answers } = await kill(1001, shows(seen(own()), seen(client(1001))));
    expect(answers.map(({ body }) => body)).toEqual([killed, killed]);
    expect(heard).toEqual(['SELECT', 'KILL CONNECTION 1001', 'SELECT', 'KILL CONNECTION 1001']);
  });

  it('are looked up without a search for our own thread', async () => {
    const asked: boolean[] = [];
    const { answers } = await kill(1001, (sql, connection) => {
      expect(askedIds(sql)).toEqual(['77', '1001']);
      asked.push(sql.includes('t.PROCESSLIST_ID = p.ID '));
      shows(seen(own()), seen(client(1001)))(sql, connection);
    });
    expect(answers.map(({ body }) => body)).toEqual([killed, killed]);
    expect(asked).toEqual([false, false]);
  });

  it('are judged by their current thread, not by an earlier one', async () => {
    let asked = 0;
    const { heard, answers } = await kill(1001, (sql, connection) => {
      asked += 1;
      const opinion = asked === 1 ? CLIENT : { ...CLIENT, NAME: 'thread/sql/replica_worker' };
      shows(seen(own()), seen(client(1001), opinion))(sql, connection);
    });
    expect(answers.map(({ body }) => body)).toEqual([killed, notFound]);
    expect(heard).toEqual(['SELECT', 'KILL CONNECTION 1001', 'SELECT']);
  });

  it('are not ended if their thread shows the login of an internal account', async () => {
    const row = seen(
      { ...client(1001), Command: 'Query' },
      { ...CLIENT, PROCESSLIST_USER: 'rdsadmin' },
    );
    const { heard, answers } = await kill(1001, shows(seen(own()), row));
    expect(answers.map(({ body }) => body)).toEqual([notFound, notFound]);
    expect(heard).toEqual(['SELECT', 'SELECT']);
  });

  it.each<[string, Row]>([
    ['another name', { ...CLIENT, NAME: 'thread/sql/replica_worker' }],
    ['no connection type', { ...CLIENT, CONNECTION_TYPE: null }],
  ])('are not ended if their thread has %s, nor after a later list', async (_what, opinion) => {
    let asked = 0;
    const { heard, answers } = await kill(1001, (sql, connection) => {
      asked += 1;
      const rows = asked === 1 ? [seen(own()), seen(client(1001), opinion)] : [];
      shows(...rows)(sql, connection);
    });
    expect(answers.map(({ body }) => body)).toEqual([notFound, notFound]);
    expect(heard).toEqual(['SELECT', 'SELECT', 'SHOW PROCESSLIST']);
  });

  it.each<[string, Script]>([
    ['does not show them', shows(seen(own()))],
    ['does not show the control connection', shows(seen(client(1001)), seen(client(1002)))],
    [
      'shows another account under our own id',
      shows(seen({ ...own(), User: 'app' }), seen(client(1001))),
    ],
    [
      'shows our own id with another statement',
      shows(seen({ ...own(), Info: 'SELECT 1' }), seen(client(1001))),
    ],
    ['has no second opinion of them', shows(seen(own()), seen(client(1001), NO_THREAD))],
    ['shows a session twice', shows(seen(own()), seen(client(1001)), seen(client(1001)))],
    [
      'shows a session that the service did not request',
      (sql, connection) => {
        shows(
          seen(own()),
          seen(client(1001)),
          seen(client(1002)),
        )(`${sql.slice(0, -1)}, 1002)`, connection);
      },
    ],
  ])('are searched for in the whole list if the lookup %s', async (_what, lookUp) => {
    const { heard, answers } = await kill(1001, lookUp);
    expect(answers.map(({ body }) => body)).toEqual([killed, killed]);
    const each = ['SELECT', 'SHOW PROCESSLIST', 'KILL CONNECTION 1001'];
    expect(heard).toEqual([...each, ...each]);
  });

  it('are not looked up again soon after a denied lookup', async () => {
    const { heard, answers } = await kill(1001, (_sql, connection) => {
      connection.writeError({ code: 1142, message: 'SELECT command denied' });
    });
    expect(answers.map(({ body }) => body)).toEqual([killed, killed]);
    const each = ['SHOW PROCESSLIST', 'KILL CONNECTION 1001'];
    expect(heard).toEqual(['SELECT', ...each, ...each]);
  });

  it('are found over another connection if the first one breaks', async () => {
    let asked = 0;
    const { answers } = await kill(1001, (sql, connection) => {
      asked += 1;
      if (asked === 1) (connection as unknown as { stream: Socket }).stream.destroy();
      else shows(seen(own()), seen(client(1001)))(sql, connection);
    });
    expect(answers.map(({ body }) => body)).toEqual([killed, killed]);
  });
});
