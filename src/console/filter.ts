import { matchesOf, parseDuration, PatternError, type Session } from '../client/index.ts';

/** The fields of a session that a filter can match. */
export const FILTERED = ['user', 'host', 'db', 'command', 'state', 'info'] as const;

/** The texts of the filter: patterns as in `sessionctl`, and a duration. */
export type FilterTexts = Readonly<Record<(typeof FILTERED)[number] | 'minTime', string>>;

/** A filter that lets all sessions pass. */
export const NO_FILTER: FilterTexts = {
  user: '',
  host: '',
  db: '',
  command: '',
  state: '',
  info: '',
  minTime: '',
};

/** The filter as a function. `wrong` holds the fields whose text cannot be read: these let all sessions pass. */
export interface Filter {
  readonly passes: (session: Session) => boolean;
  readonly wrong: readonly (keyof FilterTexts)[];
}

/** Fields that are compared with case. */
const EXACT: ReadonlySet<string> = new Set(['user', 'db', 'host']);

/** Reads the texts of a filter. */
export function readFilter(texts: FilterTexts): Filter {
  const tests: ((session: Session) => boolean)[] = [];
  const wrong: (keyof FilterTexts)[] = [];
  for (const name of FILTERED) {
    const text = texts[name];
    if (text === '') continue;
    try {
      const matches = matchesOf([text], EXACT.has(name));
      tests.push(
        name === 'host'
          ? ({ host }) => matches(host, host.replace(/:\d+$/, ''))
          : (session) => matches(session[name]),
      );
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      wrong.push(name);
    }
  }
  const { minTime } = texts;
  const least = minTime === '' ? 0 : parseDuration(minTime);
  if (least === undefined) wrong.push('minTime');
  else if (least > 0) tests.push(({ time }) => time >= least);
  return { passes: (session) => tests.every((passes) => passes(session)), wrong };
}

/** Returns a pattern that matches this text only. */
export function exactly(text: string): string {
  if (text === '') return '/^$/';
  if (!/[*?]|^[!/]/.test(text)) return text;
  return `/^${text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')}$/`;
}

/** Puts the longest first: sessions that run something, then idle ones. An idle session can be old without harm. */
export function longestFirst(one: Session, other: Session): number {
  const isIdle = ({ command }: Session): number => Number(/^sleep$/i.test(command));
  return isIdle(one) - isIdle(other) || other.time - one.time || (one.id < other.id ? -1 : 1);
}
