import { describe, expect, it } from '@jest/globals';
import { bounded } from '../../src/cli/bounded.ts';
import { matchesOf, PatternError } from '../../src/client/index.ts';

function faultOf(pattern: string): unknown {
  try {
    matchesOf([pattern], false);
    return undefined;
  } catch (error) {
    return error instanceof PatternError ? [error.fault, error.part] : error;
  }
}

describe('a pattern', () => {
  // As many texts as a long list has sessions, each as long as the longest statement of a list.
  const texts = Array.from({ length: 10_000 }, (_, index) => `${'a'.repeat(98)}!${index % 10}`);

  it.each([
    '/(a+)+$/',
    '/(a|a)*b/',
    '/^(a|aa)+$/',
    '/(.*){50}b/',
    '/^((a*)*)*$/',
    '/^(([a-z])+.)+[A-Z]([a-z])+$/',
    '/(a?){90}a{90}b/i',
    '/(a{0,30}){0,30}b/',
    '/^(?:.*a){90}b/s',
    '*a*a*a*a*a*a*a*a*a*a*a*a*b',
  ])('that makes other engines backtrack ends: %s', (pattern) => {
    const matches = matchesOf([pattern], false);
    expect(bounded(() => texts.filter((text) => matches(text)))).toEqual([]);
  });

  it.each<[string, string, boolean]>([
    ['/FROM/', 'select 1 from t', false],
    ['/FROM/i', 'select 1 from t', true],
    ['/^b$/', 'a\nb', false],
    ['/^b$/m', 'a\nb', true],
    ['/a.b/', 'a\nb', false],
    ['/a.b/s', 'a\nb', true],
    ['/^.$/u', '😀', true],
    ['/B$/ims', 'a\nb\nc', true],
    ['/\\u4e2d|\\x41/', '中', true],
    ['/a/b\\/c/', 'a/b/c', true],
    ['/[^]/', '\n', true],
    ['/(?<year>\\d{4})-\\d\\d/', 'in 2026-11', true],
    ['/(?:a|b){2}?c|\\bd\\b/', 'x d y', true],
    ['/\\\\k</', 'a\\k<b', true],
    ['ÄPFEL', 'äpfel', true],
    ['?', '😀', true],
    ['a*z', 'a\nz', true],
    ['(a|b)+$', '(a|b)+$', true],
  ])('%s keeps its meaning', (pattern, text, isMatch) => {
    expect(matchesOf([pattern], false)(text)).toBe(isMatch);
  });

  it.each([
    ['', ['empty', undefined]],
    ['/a/g', ['flags', undefined]],
    ['/(/', ['expression', '(']],
    ['/a(?=b)/', ['unsupported', '(?=']],
    ['/a(?!b)/', ['unsupported', '(?!']],
    ['/(?<=a)b/', ['unsupported', '(?<=a)b']],
    ['/(?<!a)b/', ['unsupported', '(?<!a)b']],
    ['/(a)\\1/', ['unsupported', '\\1']],
    ['/(?<n>a)\\k<n>/', ['unsupported', '\\k']],
    ['/a{1001}/', ['unsupported', '{1001}']],
    ['/(?:abcdefghijklm){1000}/', ['size', undefined]],
  ])('%j cannot be read', (pattern, fault) => {
    expect(faultOf(pattern)).toEqual(fault);
  });

  it('of more than 10,000 characters cannot be read', () => {
    expect(faultOf('?'.repeat(10_001))).toEqual(['size', undefined]);
  });
});
