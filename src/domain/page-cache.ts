import type { ListedRow } from './client-filter.ts';

const MAX_AGE_MS = 2000;

interface Cached {
  readonly sessions: readonly ListedRow[];
  readonly askedAt: number;
}

/** What readers were last shown, for a moment, so that their pages fit together and cost the node one list. Never for kills. */
export class PageCache {
  /** In the order of their lists. */
  readonly #cached = new Map<string, Cached>();

  /** The sessions that this reader was shown, if that was a moment ago. */
  of(reader: string, now: number): readonly ListedRow[] | undefined {
    this.#forgetOld(now);
    const cached = this.#cached.get(reader);
    // A list that took long is old, and can stand behind younger ones.
    return cached !== undefined && now - cached.askedAt <= MAX_AGE_MS ? cached.sessions : undefined;
  }

  keep(reader: string, sessions: readonly ListedRow[], askedAt: number): void {
    this.#cached.delete(reader);
    this.#cached.set(reader, { sessions, askedAt });
    this.#forgetOld(askedAt);
  }

  #forgetOld(now: number): void {
    for (const [reader, { askedAt }] of this.#cached) {
      if (now - askedAt <= MAX_AGE_MS) return;
      this.#cached.delete(reader);
    }
  }
}
