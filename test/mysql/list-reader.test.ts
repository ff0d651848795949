import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import type { ProcessList } from '../../src/domain/node.ts';
import type { ProcessListRow } from '../../src/domain/session.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { client, COLUMNS, columns, ordinary, own, scriptedNode } from '../support/scripted-node.ts';
import { until } from '../support/until.ts';

type Row = Record<string, string | null>;

/** Members of the driver's server connection that its types lack. */
interface Writer {
  writeEof: () => void;
  writeColumns(columns: readonly object[]): void;
  writeTextRow(values: readonly (string | null)[]): void;
}

/** Returns the list of a node with these rows and our own. */
async function listOf(rows: readonly Row[]): Promise<ProcessList['rows']> {
  const node = await scriptedNode(ordinary(undefined, { rows }));
  const nodes = new MysqlNodes();
  const list = await nodes.withConnection(node, Infinity, (connection) =>
    connection.list(Infinity),
  );
  nodes.close();
  return list.rows.slice(1).map(inFull);
}

/** Sends columns without the packet that ends them. */
function writeColumnsAlone(server: Writer, names: readonly string[]): void {
  const writeEof = server.writeEof.bind(server);
  server.writeEof = () => undefined;
  server.writeColumns(columns(names));
  server.writeEof = writeEof;
}

/** Returns the row with all its fields computed. */
function inFull({
  id,
  user,
  host,
  db,
  command,
  time,
  state,
  info,
}: ProcessListRow): ProcessListRow {
  return { id, user, host, db, command, time, state, info };
}

/** Returns the row as the list has it, with lower-case names. */
function listed(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

describe('a process list', () => {
  it('is read as the node sends it, with any texts', async () => {
    const texts = [
      '',
      'a',
      'é',
      'Ã©',
      '会话',
      '𝕊',
      'NULL',
      "'\n\u0000",
      'x'.repeat(250),
      'x'.repeat(251),
    ];
    const more = ['x'.repeat(70_000), '会'.repeat(100), null, 'a'];
    const rows = [...texts, ...more].map((Info, index) => ({ ...client(index + 1), Info }));
    expect(await listOf(rows)).toEqual(rows.map(listed));
  });

  it('does not confuse a text with that of the previous row if their bytes look alike', async () => {
    // As bytes, the two characters Ã© equal the UTF-8 form of é.
    const alike = ['Ã©', 'é', 'Ã©', 'ab', 'é', 'ac', null, 'ac', 'acc', 'ac', '', 'a'];
    const rows = alike.map((text, index) => ({ ...client(index + 1), User: text, Command: text }));
    expect(await listOf(rows)).toEqual(rows.map(listed));
  });

  it('is read by column name, and can have other columns', async () => {
    const order = ['Progress', ...COLUMNS.toReversed(), 'Rows_sent'];
    const shuffled = (row: Row): Row =>
      Object.fromEntries(order.map((name) => [name, name in row ? (row[name] ?? null) : '7']));
    const node = await scriptedNode((sql, connection) => {
      if (sql !== 'SHOW PROCESSLIST') ordinary()(sql, connection);
      else connection.writeTextResult([own(), client(1)].map(shuffled), columns(order));
    });
    const nodes = new MysqlNodes();
    const { rows } = await nodes.withConnection(node, Infinity, (connection) =>
      connection.list(Infinity),
    );
    nodes.close();
    expect(rows.slice(1).map(inFull)).toEqual([listed(client(1))]);
  });

  it('fails if the server ends it with an error, and the connection stays open', async () => {
    let lists = 0;
    const node = await scriptedNode((sql, connection) => {
      if (sql === 'SHOW PROCESSLIST' && lists++ === 0) {
        const server = connection as unknown as Writer;
        server.writeColumns(columns(COLUMNS));
        server.writeTextRow(Object.values(own()));
        connection.writeError({ code: 1105, message: 'as scripted' });
      } else {
        ordinary()(sql, connection);
      }
    });
    const nodes = new MysqlNodes();
    const list = () =>
      nodes.withConnection(node, Infinity, async (connection) => {
        await connection.list(Infinity);
        return connection;
      });
    await expect(list()).rejects.toMatchObject({ message: 'The node answered with error 1105.' });
    const [one, other] = [await list(), await list()];
    expect(one.id).toBe(other.id);
    expect(lists).toBe(3);
    nodes.close();
  });

  it('is refused without the packet that ends its columns, so that no row is lost', async () => {
    const node = await scriptedNode((sql, connection) => {
      if (sql !== 'SHOW PROCESSLIST') {
        ordinary()(sql, connection);
        return;
      }
      const server = connection as unknown as Writer;
      writeColumnsAlone(server, COLUMNS);
      for (const row of [client(1), own(), client(2)]) server.writeTextRow(Object.values(row));
      server.writeEof();
    });
    const nodes = new MysqlNodes();
    const listing = nodes.withConnection(node, Infinity, (connection) => connection.list(Infinity));
    await expect(listing).rejects.toMatchObject({ code: 'node_unavailable' });
    nodes.close();
  });

  it('is refused without columns', async () => {
    const node = await scriptedNode((sql, connection) => {
      if (sql === 'SHOW PROCESSLIST') connection.writeOk();
      else ordinary()(sql, connection);
    });
    const nodes = new MysqlNodes();
    const listing = nodes.withConnection(node, Infinity, (connection) => connection.list(Infinity));
    await expect(listing).rejects.toMatchObject({ code: 'node_unavailable' });
    nodes.close();
  });
});

describe('an answer without the packet that ends its columns', () => {
  it.each(['SELECT CONNECTION_ID()', 'SHOW GRANTS'])(
    'breaks the connection, and the next request gets a new one: %s',
    async (asked) => {
      let isOdd = true;
      const node = await scriptedNode((sql, connection) => {
        if (!isOdd || !sql.startsWith(asked)) {
          ordinary()(sql, connection);
          return;
        }
        const server = connection as unknown as Writer;
        writeColumnsAlone(server, ['a']);
        server.writeTextRow(['b']);
        server.writeEof();
      });
      const nodes = new MysqlNodes();
      const list = () =>
        nodes.withConnection(node, Infinity, (connection) => connection.list(Infinity));
      await expect(list()).rejects.toMatchObject({ code: 'node_unavailable' });
      isOdd = false;
      expect((await list()).rows).toHaveLength(3);
      nodes.close();
    },
  );
});

describe('a process list that requests share', () => {
  it('waits for requests that arrive in the turns of the event loop before it', async () => {
    let lists = 0;
    let answerFirst: (() => void) | undefined;
    const answer = ordinary(undefined, { rows: [client(1)] });
    const node = await scriptedNode((sql, connection) => {
      const isList = sql === 'SHOW PROCESSLIST';
      if (isList) lists += 1;
      if (!isList || lists > 1) {
        answer(sql, connection);
        return;
      }
      answerFirst = () => {
        connection.sequenceId = 1;
        answer(sql, connection);
        connection.sequenceId = 0;
      };
    });
    const nodes = new MysqlNodes();
    await nodes.withConnection(node, Infinity, async (connection) => {
      const first = connection.list(Infinity);
      await until('the first list is requested', () => answerFirst !== undefined);
      const others = [connection.list(Infinity)];
      // The clock stands still, so the longest wait is never reached.
      const clock = jest.spyOn(performance, 'now').mockReturnValue(performance.now());
      answerFirst?.();
      await first;
      for (let turn = 0; turn < 5; turn += 1) {
        others.push(connection.list(Infinity));
        await setImmediate();
      }
      clock.mockRestore();
      await Promise.all(others);
    });
    nodes.close();
    expect(lists).toBe(2);
  });
});
