import { describe, expect, it } from '@jest/globals';
import pico from 'picocolors';
import type { Screen } from '../../src/cli/cli-context.ts';
import type { ListedSession } from '../../src/cli/listing.ts';
import { bodyLines, footLine, headLines } from '../../src/cli/top/lines.ts';
import { press } from '../../src/cli/top/press.ts';
import { firstState, received, type TopState } from '../../src/cli/top/state.ts';
import { listed } from './sessions.ts';

const screen = { colors: pico.createColors(false) } as unknown as Screen;

function state(sessions: readonly ListedSession[], changes: Partial<TopState> = {}): TopState {
  const first = firstState({
    ...{ columns: 80, rows: 24, nodes: 'no1', isNodeShown: false, intervalSeconds: 2 },
    ...{ filterText: '', sortText: 'id' },
  });
  const listing = { sessions, failures: [], noTransactions: [] };
  return received({ ...first, ...changes }, listing, new Date(2026, 10, 30, 14, 55, 9));
}

function pressed(before: TopState, ...keys: readonly string[]): TopState {
  return keys.reduce((now, key) => press(now, key).state, before);
}

function body(shown: TopState): readonly string[] {
  return bodyLines(shown, screen).map(({ text }) => text.trimEnd());
}

const transaction = { state: 'RUNNING', seconds: 75, rowsLocked: 1n, rowsModified: 5n };

describe('the lines of top', () => {
  it('count the sessions above the list', () => {
    const sessions = [
      listed({ id: 1n, transaction }),
      listed({ id: 2n, command: 'Sleep', state: '', transaction: null }),
      listed({ id: 3n, transaction: { ...transaction, state: 'LOCK WAIT', seconds: 4 } }),
    ];
    expect(headLines(pressed(state(sessions), ' ')).map(({ text }) => text)).toEqual([
      'no1  every 2 s  14:55:09',
      'Connections 3  running 2  waiting for locks 1  oldest transaction 1m15s',
      '3 sessions  1 marked  sorted by id',
      '',
    ]);
  });

  it('do not take an unknown number for none', () => {
    const shown = state([listed()]);
    const noTransactions = ['node no1: PROCESS is missing'];
    const unknown = { ...shown, listing: { sessions: [listed()], failures: [], noTransactions } };
    expect(headLines(unknown).map(({ text }) => text)).toEqual([
      'no1  every 2 s  14:55:09',
      'Connections 1  running 1  waiting for locks 0?  oldest transaction ?',
      '1 session  sorted by id',
      'Transactions are not shown by node no1: PROCESS is missing',
    ]);
  });

  it('show the time also beside many nodes', () => {
    const [first] = headLines(state([], { nodes: 'orders-primary, '.repeat(20), isPaused: true }));
    expect(first?.text).toMatch(/^orders-primary.*…  every 2 s  14:55:09  PAUSED$/);
    expect(first?.text).toHaveLength(80);
  });

  it('mark the cursor and the marked sessions without colours', () => {
    const shown = pressed(state([listed({ id: 1n }), listed({ id: 2n })]), ' ');
    expect(body(shown).map((row) => row.slice(0, 5))).toEqual(['   ID', ' *  1', '>   2']);
  });

  it('show a screenful of a long list, with the cursor in it', () => {
    const sessions = Array.from({ length: 40 }, (_none, index) =>
      listed({ id: BigInt(index + 1) }),
    );
    const idsOf = (shown: TopState): (string | undefined)[] =>
      body(shown)
        .slice(1)
        .map((row) => /\d+/.exec(row)?.[0]);
    const shown = state(sessions);
    expect([idsOf(shown)[0], idsOf(shown).length]).toEqual(['1', 18]);
    expect(idsOf(pressed(shown, 'pageDown'))).toContain('19');
    expect(idsOf(pressed(shown, 'end')).at(-1)).toBe('40');
    expect(body(pressed(shown, 'end')).at(-1)).toMatch(/^> {2}40 /);
  });

  it('name the node if there are several', () => {
    const sessions = [listed({ nodeName: 'orders' }), listed({ node: 'no2', id: 8n })];
    const [head, ...rows] = body(state(sessions, { isNodeShown: true }));
    expect(head).toMatch(/^ {3}NODE +ID/);
    expect(rows.map((row) => row.slice(3, 9))).toEqual(['orders', 'no2   ']);
  });

  it('report that no session passes the filter', () => {
    const shown = pressed(state([listed()]), '/', ...'nobody', 'return');
    expect(body(shown)[1]).toBe('   No session passes the filter.');
  });

  it('escape the names of sessions in a notice', () => {
    const hostile = listed({ user: 'a\x1b[2J' });
    const after = received(
      pressed(state([hostile]), ' '),
      { sessions: [], failures: [], noTransactions: [] },
      new Date(0),
    );
    expect(footLine(after).text).toBe(
      'Session 7 a\\x1b[2J@10.0.0.4:51234 left the selection: ended.',
    );
  });

  it('fit a terminal of 80 columns', () => {
    const groups = pressed(state([listed()]), 'g');
    for (const shown of [state([listed()]), groups]) {
      expect(footLine(shown).text.length).toBeLessThanOrEqual(80);
    }
    const help = pressed(state([]), '?');
    // The title and all lines of the help: none needs scrolling.
    expect(body(help)).toHaveLength(19);
    expect(body(help).at(-1)).toBe(
      'The cursor and the marks follow their sessions, not their rows.',
    );
  });
});

describe('a page of top', () => {
  const opened = (texts: readonly string[], columns = 80): TopState =>
    state([], {
      columns,
      page: {
        ...{ kind: 'details', title: 'Session 7', position: 0 },
        lines: texts.map((text) => ({ text })),
      },
    });

  it('breaks long lines at blanks, and wide characters at the edge', () => {
    expect(body(opened(['SELECT one, two', '中文中文中文', 'x'.repeat(12)], 10)).slice(1)).toEqual([
      ...['SELECT', 'one, two', '中文中文中', '文', 'xxxxxxxxxx', 'xx'],
    ]);
  });

  it('scrolls to its end, and says where it is', () => {
    const page = opened(['word '.repeat(400)]);
    expect(body(page)[0]).toMatch(/^Session 7 {2}lines 1 to 18 of \d+$/);
    const end = pressed(page, 'end');
    expect(body(end)[0]).toMatch(/^Session 7 {2}lines \d+ to (\d+) of \1$/);
    expect(body(pressed(end, 'k', 'k', 'home'))[0]).toContain('lines 1 to 18');
  });
});
