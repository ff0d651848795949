import type { Key as InkKey } from 'ink';

const NAMES = [
  ...(['upArrow', 'downArrow', 'pageUp', 'pageDown', 'home', 'end'] as const),
  ...(['return', 'escape', 'backspace', 'delete', 'tab'] as const),
];
const CONTROLS: Readonly<Record<string, string>> = {
  '\r': 'return',
  '\n': 'return',
  '\x7f': 'backspace',
  '\b': 'backspace',
  '\x03': 'ctrl-c',
  '\x0c': 'ctrl-l',
  '\x15': 'ctrl-u',
};
/** A key that Ink does not know, without its escape character. */
const UNKNOWN_SEQUENCE = /^(\[[\x20-\x3f]*[\x40-\x7e]|O[\x40-\x7e])$/;

/**
 * Returns the keys of one read from the terminal: a printable character, `ctrl-` with a letter, or a name such as `upArrow`. Over a slow line,
 * several keys arrive in one read.
 */
export function keysOf(input: string, key: Partial<InkKey>): readonly string[] {
  const name = NAMES.find((known) => key[known] === true);
  // Many terminals send the key Backspace as the code of Delete.
  if (name !== undefined) return [name === 'delete' ? 'backspace' : name];
  if (key.ctrl === true) return [`ctrl-${input}`];
  if (key.meta === true || UNKNOWN_SEQUENCE.test(input)) return [];
  return [...input].flatMap((character) => {
    const control = CONTROLS[character];
    if (control !== undefined) return [control];
    return /\p{C}/u.test(character) ? [] : [character];
  });
}
