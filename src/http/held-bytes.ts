/** Two of the largest bodies that can be configured. Memory holds it twice: as it came, and as what is made of it. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** A kill is seldom larger: it is never turned away for what others send. */
const FREE_BYTES = 16 * 1024;

/** What holds bytes that a client has sent. */
export interface Holder {
  /** Turns away what the client has begun, and holds no more bytes of it. */
  shed(): void;
}

/**
 * One budget for the bytes of all requests that were not read whole. Beyond it, the oldest of them are turned away.
 * A request that was read whole does not count: the limit on requests at once bounds those, and its answer is owed.
 */
export class HeldBytes {
  #total = 0;
  /** In the order in which the requests began. */
  readonly #held = new Map<Holder, number>();

  /** Notes how many bytes of requests that were not read whole `holder` holds; 0 if none. */
  note(holder: Holder, bytes: number): void {
    this.#count(holder, Math.max(0, bytes - FREE_BYTES));
    for (const oldest of this.#held.keys()) {
      if (this.#total <= MAX_HELD_BYTES) return;
      this.#count(oldest, 0);
      oldest.shed();
    }
  }

  #count(holder: Holder, bytes: number): void {
    this.#total += bytes - (this.#held.get(holder) ?? 0);
    if (bytes === 0) this.#held.delete(holder);
    else this.#held.set(holder, bytes);
  }
}
