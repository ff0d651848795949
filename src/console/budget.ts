import type { Transport } from '../client/index.ts';

const WINDOW_MS = 60_000;
/** The most summaries that are read at the same time. */
const MOST_IN_BACKGROUND = 4;

/**
 * Keeps the page within a quarter of the caller's reads, so that the caller's other programs can read. Reads in the
 * background get half of that quarter. Kills are never delayed: the service counts them apart.
 */
export class ReadBudget {
  /** The most reads of the page in a minute. */
  perMinute: number;
  readonly #sent: number[] = [];
  #inBackground = 0;

  constructor(requestsPerMinute: number) {
    this.perMinute = quarterOf(requestsPerMinute);
  }

  /** Sets the limit that the service reports. */
  set requestsPerMinute(count: number) {
    this.perMinute = quarterOf(count);
  }

  /** Returns the pause between two rounds of this number of requests in the background, in milliseconds. */
  pauseFor(requests: number): number {
    return Math.max(5000, Math.ceil((requests * WINDOW_MS) / Math.max(1, this.perMinute / 4)));
  }

  /** Returns a transport that delays reads beyond the budget. */
  limit(transport: Transport): Transport {
    return async (request) => {
      const { method, url, signal } = request;
      if (method !== 'GET' && url.searchParams.get('dry_run') !== 'true') return transport(request);
      const isBackground = url.pathname.endsWith('/summary');
      await this.#take(isBackground, signal);
      if (!isBackground) return transport(request);
      try {
        return await transport(request);
      } finally {
        this.#inBackground -= 1;
      }
    };
  }

  async #take(isBackground: boolean, signal: AbortSignal | undefined): Promise<void> {
    for (;;) {
      signal?.throwIfAborted();
      const now = performance.now();
      while ((this.#sent[0] ?? now) <= now - WINDOW_MS) this.#sent.shift();
      const most = isBackground ? Math.max(1, this.perMinute / 2) : this.perMinute;
      const isCrowded = isBackground && this.#inBackground >= MOST_IN_BACKGROUND;
      if (this.#sent.length < most && !isCrowded) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    this.#sent.push(performance.now());
    if (isBackground) this.#inBackground += 1;
  }
}

function quarterOf(requestsPerMinute: number): number {
  return Math.max(1, Math.floor(requestsPerMinute / 4));
}
