import { matchesOf, parseDuration, PatternError } from '../client/index.ts';
import type { PatternFault, Session } from '../client/index.ts';

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

/** A field whose text cannot be read, and why. */
export type WrongField =
  | { readonly name: 'minTime' }
  | { readonly name: (typeof FILTERED)[number]; readonly fault: PatternFault };

/** The filter as a function. The fields in `wrong` let all sessions pass. */
export interface Filter {
  readonly passes: (session: Session) => boolean;
  readonly wrong: readonly WrongField[];
}

/** A filter must not keep the tab busy for longer. A common one takes less than 0.1 s for 10,000 sessions. */
const MAX_FILTER_MS = 1000;

/** Fields that are compared with case. */
const EXACT: ReadonlySet<string> = new Set(['user', 'db', 'host']);

/** Reads the texts of a filter. */
export function readFilter(texts: FilterTexts): Filter {
  const tests: ((session: Session) => boolean)[] = [];
  const wrong: WrongField[] = [];
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
      wrong.push({ name, fault: error.fault });
    }
  }
  const { minTime } = texts;
  const least = minTime === '' ? 0 : parseDuration(minTime);
  if (least === undefined) wrong.push({ name: 'minTime' });
  else if (least > 0) tests.push(({ time }) => time >= least);
  return { passes: (session) => tests.every((passes) => passes(session)), wrong };
}

/** Returns the sessions that pass; undefined if the expressions of the filter take longer than 1 s. */
export function select(
  sessions: readonly Session[],
  passes: Filter['passes'],
): Session[] | undefined {
  const end = performance.now() + MAX_FILTER_MS;
  const passing: Session[] = [];
  for (const session of sessions) {
    if (performance.now() > end) return undefined;
    if (passes(session)) passing.push(session);
  }
  return passing;
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
