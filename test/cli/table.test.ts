import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import stringWidth from 'string-width';
import { formatJson, formatSessions } from '../../src/cli/formats.ts';
import { sessionTable } from '../../src/cli/session-table.ts';
import type { Screen } from '../../src/cli/cli-context.ts';
import { cut } from '../../src/cli/table.ts';
import { visible } from '../../src/cli/visible.ts';
import { parse as parseYaml } from 'yaml';
import { listed } from './sessions.ts';

const ATTACK = '\x1b[2J\x1b]0;owned\x07\x9b31m\x7f\r\u202egnp.exe\u2066\ud800';
/** Characters that a terminal would act on. */
const RAW = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

function screen(columns: number | undefined): Screen {
  return { columns: () => columns, colors: { bold: String } } as unknown as Screen;
}

describe('a text that is made visible', () => {
  it('has characters escaped that a terminal would act on or hide', () => {
    expect(visible(ATTACK)).toBe(
      '\\x1b[2J\\x1b]0;owned\\x07\\x9b31m\\x7f \\u{202e}gnp.exe\\u{2066}\\u{d800}',
    );
    expect(visible('SELECT\n\t 订单 😀')).toBe('SELECT 订单 😀');
  });

  it('holds no such character, whatever the text is', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !RAW.test(visible(text))));
  });
});

describe('a table of sessions', () => {
  const sessions = [
    listed({ info: `SELECT ${'x, '.repeat(200)}`, time: 200 }),
    listed({
      id: 9_223_372_036_854_775_807n,
      user: 'a_user_with_a_long_name',
      host: 'a-host-with-a-very-long-name.example.com:51234',
      db: '订单数据库',
      state: 'Waiting for table metadata lock',
      info: ATTACK,
    }),
  ];

  it.each([80, 100, 140, 200])('fits into %d columns', (columns) => {
    for (const isNodeShown of [false, true]) {
      const lines = sessionTable(sessions, screen(columns), isNodeShown).split('\n');
      expect(lines).toHaveLength(3);
      for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(columns);
    }
  });

  it('never cuts an id or a time, and shows the other columns', () => {
    const table = sessionTable(sessions, screen(190), false);
    expect(table).toContain('9223372036854775807');
    expect(table).toContain('3m20s');
    expect(table.split('\n')[0]).toMatch(/ID +USER +HOST +DB +COMMAND +TIME +STATE +STATEMENT/);
  });

  it('leaves out the port and the command first on a narrow screen, and then shows the command as the state', () => {
    const idle = listed({ command: 'Sleep', state: '', info: '' });
    const running = listed({ info: `SELECT ${'x, '.repeat(20)}` });
    const head = (columns: number): string =>
      sessionTable([idle, running], screen(columns), false).split('\n').slice(0, 2).join('\n');
    expect(head(91)).toMatch(/COMMAND.*\n.* 10\.0\.0\.4:51234 .* Sleep /);
    expect(head(86)).toMatch(/COMMAND.*\n.* 10\.0\.0\.4 .* Sleep /);
    expect(head(80)).toMatch(/TIME +STATE +STATEMENT\n.* 10\.0\.0\.4 .* 12s +Sleep$/);
  });

  it('has the transactions if any is known', () => {
    const transaction = { state: 'RUNNING', seconds: 61, rowsLocked: 9n, rowsModified: 1_234_567n };
    const [head, one, other] = sessionTable(
      [listed({ transaction }), listed({ transaction: undefined })],
      screen(120),
      false,
    ).split('\n');
    expect(head).toMatch(/TIME +TRX +ROWS +STATE/);
    expect(one).toMatch(/ 12s +1m01s +1\.2 M +Sending data/);
    expect(other).toMatch(/ 12s +\? +\? +Sending data/);
  });

  it('cuts no cell without a terminal', () => {
    expect(sessionTable(sessions, screen(undefined), false)).toContain('x, '.repeat(199));
  });

  it('holds no character that a terminal would act on', () => {
    const evil = listed({
      user: ATTACK,
      host: ATTACK,
      db: ATTACK,
      command: ATTACK,
      state: ATTACK,
      info: ATTACK,
    });
    expect(sessionTable([evil], screen(undefined), false)).not.toMatch(RAW);
    for (const format of ['json', 'yaml', 'csv'] as const) {
      expect(formatSessions([evil], format, false)).not.toMatch(RAW);
    }
  });

  it('counts a wide character as two columns', () => {
    expect(cut('订单数据', 5)).toBe('订单…');
    expect(cut('订单数据', 8)).toBe('订单数据');
  });
});

describe('sessions for programs', () => {
  const session = listed({
    id: 9_007_199_254_740_993n,
    info: `=1+1 "quoted", ${ATTACK.slice(0, -1)}`,
  });

  it('have exact ids and texts as JSON and YAML', () => {
    const json = formatSessions([session], 'json', false);
    expect(json).toContain('"id": 9007199254740993');
    expect((JSON.parse(json) as { info: string }[])[0]?.info).toBe(session.info);
    const yaml = formatSessions([session], 'yaml', false);
    expect(parseYaml(yaml, { intAsBigInt: true })).toEqual([
      { ...session, time: 12n, node_name: null },
    ]);
  });

  it('escape formulas as CSV', () => {
    const [head, row] = formatSessions([session], 'csv', false).split('\n');
    expect(head).toBe(
      'node,id,user,host,db,command,time,state,info,node_name,transaction_state,transaction_seconds,rows_locked,rows_modified',
    );
    expect(row).toMatch(/^no1,9007199254740993,app,.*,"'=1\+1 ""quoted"", /);
  });

  it('are ids, as NODE/ID if there are several nodes', () => {
    expect(formatSessions([session], 'ids', false)).toBe('9007199254740993\n');
    expect(formatSessions([session], 'ids', true)).toBe('no1/9007199254740993\n');
  });

  it('are valid JSON whatever their texts are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(JSON.parse(formatJson({ text }))).toEqual({ text });
      }),
    );
  });
});
