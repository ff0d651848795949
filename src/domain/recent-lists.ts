import type { ListedRow } from './user-sessions.ts';

const MAX_AGE_MS = 2000;

interface Recent {
  readonly sessions: readonly ListedRow[];
  readonly askedAt: number;
}

/** What readers were last shown, for a moment, so that their pages fit together and cost the node one list. Never for kills. */
export class RecentLists {
  /** In the order of their lists. */
  readonly #recent = new Map<string, Recent>();

  /** The sessions that this reader was shown, if that was a moment ago. */
  of(reader: string, now: number): readonly ListedRow[] | undefined {
    this.#forgetOld(now);
    const recent = this.#recent.get(reader);
    // A list that took long is old, and can stand behind younger ones.
    return recent !== undefined && now - recent.askedAt <= MAX_AGE_MS ? recent.sessions : undefined;
  }

  keep(reader: string, sessions: readonly ListedRow[], askedAt: number): void {
    this.#recent.delete(reader);
    this.#recent.set(reader, { sessions, askedAt });
    this.#forgetOld(askedAt);
  }

  #forgetOld(now: number): void {
    for (const [reader, { askedAt }] of this.#recent) {
      if (now - askedAt <= MAX_AGE_MS) return;
      this.#recent.delete(reader);
    }
  }
}
