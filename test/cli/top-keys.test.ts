import { describe, expect, it } from '@jest/globals';
import { exactPattern, filterTextOf, readFilterText } from '../../src/cli/top/filter-text.ts';
import { keysOf } from '../../src/cli/top/keys.ts';
import { press } from '../../src/cli/top/press.ts';
import { firstState, keyOf, received, type TopState } from '../../src/cli/top/state.ts';
import { chosen } from '../../src/cli/top/victims.ts';
import type { ListedSession } from '../../src/cli/listing.ts';
import { listed } from './sessions.ts';

function state(sessions: readonly ListedSession[], sortText = 'id'): TopState {
  const first = firstState({
    ...{ columns: 80, rows: 24, nodes: 'no1', isNodeShown: false, intervalSeconds: 2 },
    ...{ filterText: '', sortText },
  });
  return withList(first, sessions);
}

function withList(before: TopState, sessions: readonly ListedSession[]): TopState {
  return received(before, { sessions, failures: [], noTransactions: [] }, new Date(0));
}

function pressed(before: TopState, ...keys: readonly string[]): TopState {
  return keys.reduce((now, key) => press(now, key).state, before);
}

describe('the cursor of top', () => {
  const [one, two, three] = [1n, 2n, 3n].map((id) => listed({ id })) as [
    ListedSession,
    ListedSession,
    ListedSession,
  ];

  it('follows its session when the order changes', () => {
    const before = pressed(state([one, two, three], '-time'), 'j');
    const after = withList(before, [one, two, { ...three, time: 99 }]);
    expect(after.shown.map(({ id }) => id)).toEqual([3n, 1n, 2n]);
    expect([after.cursor, after.position]).toEqual([keyOf(two), 2]);
  });

  it('rests on no session after its own has ended, until it is moved', () => {
    const before = pressed(state([one, two, three]), 'j');
    const after = withList(before, [one, three]);
    expect(chosen(after)).toEqual([]);
    expect(after.notice).toBe('The row under the cursor is gone.');
    expect(pressed(after, ' ').marked.size).toBe(0);
    expect(chosen(pressed(after, 'j'))).toEqual([three]);
    expect(chosen(pressed(after, 'k'))).toEqual([one]);
  });

  it('does not take a later session with the same id for its own', () => {
    const before = pressed(state([one, two]), ' ');
    const later = { ...one, host: '10.0.0.9:40000' };
    const after = withList(before, [later, two]);
    expect(after.marked.size).toBe(0);
    expect(after.notice).toBe('Session 1 app@10.0.0.4:51234 left the selection: ended.');
  });

  it('is on the first row again if a filter hides its session', () => {
    const before = pressed(state([one, two, { ...three, user: 'batch' }]), 'j');
    const after = pressed(before, '/', ...'user=batch', 'return');
    expect([after.shown.length, after.position, chosen(after)[0]?.id]).toEqual([1, 0, 3n]);
  });

  it('unmarks the sessions that a filter hides', () => {
    const before = pressed(state([one, { ...two, user: 'batch' }]), ' ', ' ');
    expect(before.marked.size).toBe(2);
    const after = pressed(before, '/', ...'user=batch', 'return');
    expect(chosen(after).map(({ id }) => id)).toEqual([2n]);
    expect(after.notice).toBe('Session 1 app@10.0.0.4:51234 left the selection: filtered out.');
  });

  it('stays inside the list', () => {
    const start = state([one, two, three]);
    for (const key of ['upArrow', 'k', 'pageUp', 'home']) {
      expect(pressed(start, key).position).toBe(0);
    }
    for (const key of ['end', 'pageDown', 'G']) {
      expect(pressed(start, 'end', key, 'j', 'j').position).toBe(2);
    }
    expect(pressed(state([]), 'j', 'end', ' ', 'return').position).toBe(0);
  });
});

describe('the keys of top', () => {
  it.each<[string, Parameters<typeof keysOf>[1], readonly string[]]>([
    ['jj ', {}, ['j', 'j', ' ']],
    ['y\r', {}, ['y', 'return']],
    ['j\x03', {}, ['j', 'ctrl-c']],
    ['c', { ctrl: true }, ['ctrl-c']],
    ['', { upArrow: true }, ['upArrow']],
    ['', { delete: true }, ['backspace']],
    // Alt with a key, and sequences that Ink does not know.
    ['K', { meta: true }, []],
    ['[200~', {}, []],
    ['中文', {}, ['中', '文']],
    ['\x00\u202e', {}, []],
  ])('are read from %j', (input, key, keys) => {
    expect(keysOf(input, key)).toEqual(keys);
  });

  it('ask before they end a session, and only while no other page is open', () => {
    const start = state([listed()]);
    expect(press(start, 'K').action).toEqual({ kind: 'kill', scope: 'session' });
    expect(press(pressed(start, '?'), 'K').action).toBeUndefined();
    expect(press(pressed(start, '/'), 'K').action).toBeUndefined();
  });

  it('quit with q in the list, but not with Esc', () => {
    const start = state([listed()]);
    expect(press(start, 'q').action).toEqual({ kind: 'quit' });
    expect(press(start, 'escape').action).toBeUndefined();
    expect(press(pressed(start, '?'), 'q')).toMatchObject({ state: { page: undefined } });
  });

  it('edit a line', () => {
    const typed = pressed(state([listed()]), '/', 'a', '中', 'x', 'backspace');
    expect(typed.prompt?.text).toBe('a中');
    expect(pressed(typed, 'ctrl-u', 'tab', 'b').prompt?.text).toBe('b');
  });
});

describe('the filter of top', () => {
  const session = listed({ db: 'shop a', state: 'Waiting for table metadata lock' });

  it.each<[string, boolean]>([
    ['', true],
    ['user=app', true],
    ['--user=app', true],
    ['user=ap', false],
    ['user=a* user=b*', true],
    ['user=!app', false],
    ['db="shop a"', true],
    ["state='waiting for*' command=query", true],
    ['waiting', true],
    ['min-time=12s', true],
    ['min-time=13', false],
    ['in-transaction', false],
    ['select 10.0.0.4', true],
    ['"SELECT 2"', false],
    ['"select 1"', true],
    ['"user=app"', false],
  ])('%s', (text, passes) => {
    expect(readFilterText(text)(session)).toBe(passes);
  });

  it.each([
    ['usr=app', 'usr= is not a filter.'],
    ['user=', '--user is empty.'],
    ['min-time=long', '--min-time long is not a duration.'],
    ['user="app', 'A quote in the filter user="app is not closed.'],
    ['info=/(/', 'is not a valid regular expression'],
  ])('refuses %s', (text, message) => {
    expect(() => readFilterText(text)).toThrow(message);
  });

  it('has the filters of the command line', () => {
    const options = {
      ...{ user: ['app', '!x'], info: ['say "it\'s" *'], minTime: '5m', waiting: true },
    };
    const text = filterTextOf(options);
    expect(text).toBe(`user=app user=!x info="say "'"'"it's"'"'" *" min-time=5m waiting`);
    const passes = readFilterText(text);
    const time = 300;
    expect(passes({ ...session, time, info: 'say "it\'s" now' })).toBe(true);
    expect(passes({ ...session, time, info: 'say its now' })).toBe(false);
  });

  it.each(['app', '', 'a b', 'a*b?', '/x/', '!x', 'a,b', 'it\'s "q"', '(中文)'])(
    'matches only the group %j',
    (name) => {
      const passes = readFilterText(`user=${exactPattern(name)}`);
      expect(passes({ ...session, user: name })).toBe(true);
      for (const user of [`${name}x`, `x${name}`]) expect(passes({ ...session, user })).toBe(false);
    },
  );
});
