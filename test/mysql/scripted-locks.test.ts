import { describe, expect, it } from '@jest/globals';
import type { Connection } from 'mysql2';
import type { LockReport } from '../../src/domain/lock-report.ts';
import { lookAtLocks } from '../support/look-at-locks.ts';
import { client, columns, ordinary, scriptedNode } from '../support/scripted-node.ts';
import { GRANTS, TIDB } from '../support/scripted-node.ts';

type Row = readonly (string | null)[];
/** The rows that a statement gets if it holds this text; or the error. */
type Answers = readonly (readonly [part: string, rows: readonly Row[] | number])[];

/** A transaction of `innodb_trx`: its number, its session, and the lock that it waits for. */
function trx(id: string, session: string, lockId: string | null = null, locked = '1'): Row {
  const state = lockId === null ? 'RUNNING' : 'LOCK WAIT';
  return [id, session, state, lockId, '41', lockId === null ? null : '30', locked, '3'];
}

/** Returns the report of a scripted server, with the statements that it got. */
async function look(
  version: string,
  answers: Answers,
  state = '',
): Promise<{ report: LockReport; asked: string[] }> {
  const asked: string[] = [];
  const script = (sql: string, connection: Connection): void => {
    asked.push(sql);
    const [, rows] = answers.find(([part]) => sql.includes(part)) ?? [];
    if (typeof rows === 'number') connection.writeError({ code: rows, message: 'no' });
    else if (rows === undefined) connection.writeError({ code: 1109, message: 'Unknown table' });
    else {
      const names = (rows[0] ?? ['none']).map((_, index) => `c${index}`);
      const named = rows.map((row) => Object.fromEntries(names.map((name, at) => [name, row[at]])));
      connection.writeTextResult(named, columns(names));
    }
  };
  // Before 8.0 a KILL of other accounts' sessions needs SUPER.
  const grants = version.startsWith('5.') ? GRANTS.replace('CONNECTION_ADMIN', 'SUPER') : GRANTS;
  const rows = [client(22), client(23), { ...client(24), State: state }];
  const node = await scriptedNode(ordinary(script, { version, rows, grants }), version);
  return { report: await lookAtLocks(node), asked: asked.filter((sql) => /lock|trx/i.test(sql)) };
}

const TRX = 'information_schema.innodb_trx';
const WAITING = [trx('901', '22'), trx('902', '23', '902:5:3:2')];

describe('the locks of MySQL 5.7', () => {
  const answers: Answers = [
    [TRX, WAITING],
    ['INNODB_LOCK_WAITS', [['902:5:3:2', '901', '901:5:3:2']]],
    ['information_schema.INNODB_LOCKS', [['902:5:3:2', '`shop`.`t`', 'PRIMARY', 'X', '1']]],
  ];

  it('are read from information_schema, with a limit for the query', async () => {
    const { report, asked } = await look('5.7.44-log', answers);
    expect(report).toMatchObject({
      blockers: [{ id: 22n, isRoot: true, waiters: 1, transaction: { rowsModified: 3n } }],
      waits: [
        {
          ...{ id: 23n, waitsFor: 22n, kind: 'row', seconds: 30n, db: 'shop', table: 't' },
          ...{ index: 'PRIMARY', mode: 'X', data: '1' },
        },
      ],
      sources: { row: 'available', metadata: 'available' },
    });
    expect(asked.find((sql) => sql.includes('INNODB_LOCK_WAITS'))).toMatch(
      /^SELECT \/\*\+ MAX_EXECUTION_TIME\(1500\) \*\/ /,
    );
    expect(asked.filter((sql) => sql.includes('data_lock'))).toEqual([]);
  });

  it.each([
    ['1', expect.objectContaining({ 'en-us': expect.stringMatching(/^Unknown: /) })],
    ['0', 'available'],
  ])(
    'are not reported as absent if the tables do not match, while %s session waits',
    async (count, source) => {
      const { report } = await look('5.7.44-log', [
        [TRX, WAITING],
        ['INNODB_LOCK_WAITS', []],
        ['information_schema.INNODB_LOCKS', []],
        ['Innodb_row_lock_current_waits', [['Innodb_row_lock_current_waits', count]]],
      ]);
      expect(report.waits).toEqual([]);
      expect(report.sources.row).toEqual(source);
    },
  );

  it('need the instrument of metadata locks, which is off by default', async () => {
    const { report } = await look(
      '5.7.44',
      [
        [TRX, []],
        ['performance_schema.metadata_locks', []],
        ['@@performance_schema', [['1']]],
      ],
      'Waiting for table metadata lock',
    );
    expect(report.sources.metadata).toMatchObject({
      'en-us': expect.stringContaining('wait/lock/metadata/sql/mdl') as unknown,
    });
  });

  it('are read by MySQL 5.6 without the limit, which it does not know', async () => {
    const { asked } = await look('5.6.51', answers);
    expect(asked.find((sql) => sql.includes('INNODB_LOCK_WAITS'))).toMatch(/^SELECT requested/);
  });
});

describe('the locks of MySQL 8.0', () => {
  const pair = ['902', '902:5:3:2', '901'];
  const locks = ['902:5:3:2', 'shop', 't', 'PRIMARY', 'X,REC_NOT_GAP', '1'];
  const answers = (version: string, locked: string): Answers => [
    [TRX, [trx('901', '22', null, locked), WAITING[1] ?? []]],
    ['VERSION()', [[version]]],
    ['IN (902) AND', []],
    ['performance_schema.data_lock_waits', [pair]],
    ['performance_schema.data_locks', [locks]],
  ];
  const isLockTable = (sql: string): boolean => sql.includes('data_lock');

  it.each(['8.0.25', '8.0.45'])('are read from performance_schema of %s', async (version) => {
    const { report, asked } = await look(version, answers(version, '999999'));
    expect(report).toMatchObject({
      blockers: [{ id: 22n, isRoot: true, waiters: 1 }],
      waits: [{ id: 23n, waitsFor: 22n, seconds: 30n, mode: 'X,REC_NOT_GAP', data: '1' }],
      sources: { row: 'available' },
    });
    // The granted locks of one that waits itself are read apart from those of one that does not wait.
    expect(asked.filter(isLockTable)).toEqual([
      expect.stringMatching(/data_lock_waits WHERE BLOCKING_ENGINE_TRANSACTION_ID IN \(901\)$/),
      expect.stringMatching(/ IN \(902\) AND BLOCKING_ENGINE_LOCK_ID NOT IN \('902:5:3:2'\)$/),
      expect.stringMatching(/data_locks\s+WHERE .* ENGINE_LOCK_ID IN \('902:5:3:2'\)$/),
    ]);
  });

  it('are not read from an old version above a million locked rows', async () => {
    const { report, asked } = await look('8.0.25', answers('8.0.25', '1000000'));
    expect(asked.filter(isLockTable)).toEqual([]);
    expect(report.blockers).toEqual([]);
    expect(report.sources.row).toMatchObject({
      'en-us': expect.stringContaining('lock 1000001 rows') as unknown,
    });
    const { report: newer } = await look('8.0.45', answers('8.0.45', '1000000'));
    expect(newer).toMatchObject({ blockers: [{ id: 22n }], sources: { row: 'available' } });
  });

  it('are refused by an old version that cannot show its transactions', async () => {
    const counter = 'Innodb_row_lock_current_waits';
    const of = (version: string): Answers => [
      [TRX, 3854],
      [counter, [[counter, '1']]],
      ...answers(version, '1').slice(1),
    ];
    const { report, asked } = await look('8.0.25', of('8.0.25'));
    expect(asked.filter(isLockTable)).toEqual([]);
    expect(report.sources.row).toMatchObject({
      'en-us': expect.stringContaining('emoji') as unknown,
    });
  });

  it('are not read while no transaction waits', async () => {
    const { report, asked } = await look('8.0.45', [[TRX, [trx('901', '22')]]]);
    expect(asked.filter(isLockTable)).toEqual([]);
    expect(report).toMatchObject({ blockers: [], sources: { row: 'available' } });
  });

  it('are not shown if the query takes longer than its limit', async () => {
    const slow: Answers = [
      [TRX, WAITING],
      ['data_lock_waits', 3024],
    ];
    const { report } = await look('8.0.45', slow);
    expect(report.sources.row).toMatchObject({
      'en-us': expect.stringContaining('within 1500 ms') as unknown,
    });
  });
});

describe('the locks of TiDB', () => {
  const key = '{"db_name":"shop","table_name":"t","handle_value":"1"}';

  it('are those of the cluster, also of a holder on another instance', async () => {
    const { report, asked } = await look(TIDB, [
      [
        'DATA_LOCK_WAITS',
        [
          ['23', '22', '30', key],
          ['24', '4611686018427387905', '9', null],
          ['24', null, '9', null],
        ],
      ],
    ]);
    expect(asked.some((sql) => sql.includes('CLUSTER_TIDB_TRX'))).toBe(true);
    expect(asked.some((sql) => sql.includes('innodb_trx'))).toBe(false);
    expect(report).toMatchObject({
      blockers: [{ id: 22n, isRoot: true, waiters: 1, transaction: undefined }],
      sources: { row: 'available' },
    });
    expect(report.waits.filter(({ id }) => id === 23n)).toMatchObject([
      { waitsFor: 22n, kind: 'row', seconds: 30n, db: 'shop', table: 't', data: '1' },
    ]);
  });

  it('have no metadata locks', async () => {
    const { report } = await look(
      TIDB,
      [['DATA_LOCK_WAITS', []]],
      'Waiting for table metadata lock',
    );
    expect(report.sources.metadata).toMatchObject({
      'en-us': expect.stringContaining('tidb_mdl_view') as unknown,
    });
  });
});
