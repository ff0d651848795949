import { SessionControlError } from '../../client/index.ts';
import { failureOf } from '../failures.ts';
import { listAll, type Connection, type Listing } from '../listing.ts';
import { received } from './state.ts';
import type { Store } from './store.ts';

const LONGEST_PAUSE_MS = 30_000;
const PAGE_SIZE = 100;
/** The number of reads a minute that a service allows by default. */
const DEFAULT_READS = 600;

/** Reads the list again and again, one list at a time. */
export class Poller {
  readonly #connection: Connection;
  readonly #store: Store;
  #isWanted = true;
  /** The end of a pause that the service has asked for. */
  #notBefore = 0;
  #wake: () => void = () => undefined;

  constructor(connection: Connection, store: Store) {
    this.#connection = connection;
    this.#store = store;
  }

  /** Reads now, or right after the current read. Returns false if the service has asked for a pause that is not over. */
  refresh(): boolean {
    if (performance.now() < this.#notBefore) return false;
    this.#isWanted = true;
    this.#wake();
    return true;
  }

  /** Reads until the signal aborts. Does not read while the screen is paused, or asks about a kill. Rejects if the service denies access. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      const { isPaused, page, intervalSeconds } = this.#store.get();
      let pauseMs = intervalSeconds * 1000;
      if (this.#isWanted || (!isPaused && page?.kind !== 'kill')) {
        this.#isWanted = false;
        try {
          const listing = await listAll(this.#connection, signal, { withTransactions: true });
          failures = 0;
          pauseMs = Math.max(pauseMs, this.#pauseAfter(listing));
          this.#store.update((state) => received(state, listing, new Date()));
        } catch (error) {
          if (isOver()) return;
          if (!(error instanceof SessionControlError) || error.kind === 'denied') throw error;
          failures += 1;
          const backoff = Math.min(LONGEST_PAUSE_MS, pauseMs * 2 ** (failures - 1));
          pauseMs = Math.max(pauseMs, backoff, this.#askedPause([error]));
          // A narrow screen cuts the end of the line.
          const trouble = `Next attempt in ${Math.ceil(pauseMs / 1000)} s: ${failureOf(error).line}`;
          this.#store.update((state) => ({ ...state, trouble }));
        }
      }
      await this.#sleep(pauseMs, signal);
    }
  }

  /** Returns the pause that leaves half of the caller's reads to others, and the one that a node has asked for, in milliseconds. */
  #pauseAfter({ sessions, failures }: Listing): number {
    const pages = this.#connection.nodes.length + Math.floor(sessions.length / PAGE_SIZE);
    const reads = this.#connection.caller?.requestsPerMinute ?? DEFAULT_READS;
    const asked = this.#askedPause(failures.map(({ error }) => error));
    return Math.max((pages * 60_000) / (reads / 2), asked);
  }

  /** Returns the longest pause that the service has asked for, in milliseconds. */
  #askedPause(errors: readonly unknown[]): number {
    const seconds = errors.map((error) =>
      error instanceof SessionControlError ? (error.retryAfterSeconds ?? 0) : 0,
    );
    const pauseMs = Math.max(0, ...seconds) * 1000;
    this.#notBefore = performance.now() + pauseMs;
    return pauseMs;
  }

  /** Waits until the time is over, a refresh is wanted, or the signal aborts. */
  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#isWanted || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener('abort', end);
      this.#wake = end;
    });
  }
}
