import { REMEMBERED_MS } from '../domain/answer-store.ts';

/**
 * The dates of requests whose answers are remembered no longer. They are valid again if the wall clock steps back; then a replay would be
 * carried out. The dates are in milliseconds since 1970, `monotonic` is in milliseconds too.
 */
export class ForgottenDates {
  readonly #monotonic: () => number;
  /** Each date is later than those before it, so there is at most one a second of the time that answers are remembered. */
  readonly #remembered: { readonly date: number; readonly acceptedAt: number }[] = [];
  #latest = -Infinity;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** Notes the date of a request that may be carried out. */
  accept(date: number): void {
    this.#forget();
    const latest = this.#remembered.at(-1)?.date ?? this.#latest;
    if (date > latest) this.#remembered.push({ date, acceptedAt: this.#monotonic() });
  }

  /** Returns true if a request with this date can have been carried out and forgotten. */
  has(date: number): boolean {
    this.#forget();
    return date <= this.#latest;
  }

  #forget(): void {
    const oldest = this.#monotonic() - REMEMBERED_MS;
    for (let [first] = this.#remembered; first !== undefined; [first] = this.#remembered) {
      if (first.acceptedAt > oldest) return;
      this.#latest = first.date;
      this.#remembered.shift();
    }
  }
}
