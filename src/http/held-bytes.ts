/** Two of the largest bodies that can be configured. Memory holds it twice: as it came, and as what is made of it. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** A kill is seldom larger: it is never turned away for what others send. */
const FREE_BYTES = 16 * 1024;

/** What holds bytes that a client has sent. */
export interface Holder {
  /** Turns away what the client has begun, and holds no more bytes of it. */
  shed(): void;
}

/** One budget for all bytes that clients have sent and whose requests are not over. Beyond it those that began first are turned away. */
export class HeldBytes {
  #total = 0;
  readonly #held = new Map<Holder, number>();
  /** In the order in which they began, those that wait for their client. */
  readonly #unfinished = new Set<Holder>();

  /** Notes that `holder` holds so many bytes, and whether more of them are to come. */
  note(holder: Holder, bytes: number, isUnfinished: boolean): void {
    const counted = Math.max(0, bytes - FREE_BYTES);
    this.#count(holder, counted);
    if (counted > 0 && isUnfinished) this.#unfinished.add(holder);
    else this.#unfinished.delete(holder);
    for (const oldest of this.#unfinished) {
      if (this.#total <= MAX_HELD_BYTES) return;
      this.#unfinished.delete(oldest);
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
