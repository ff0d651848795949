import type { Transport } from '../client/index.ts';

const WINDOW_MS = 60_000;
/** The most summaries in the background that are read at the same time. */
const MOST_IN_BACKGROUND = 4;

/**
 * Keeps the page within a quarter of the caller's reads, so that the caller's other programs can read. Reads in the
 * background get half of that quarter. Kills are never delayed: the service counts them apart.
 */
export class ReadBudget {
  /** The most reads of the page in a minute. */
  perMinute: number;
  /** The id of the node that the person looks at: its numbers do not wait for those of other nodes. */
  chosenNode = '';
  readonly #sent: { readonly at: number; readonly isBackground: boolean }[] = [];
  readonly #queue: symbol[] = [];
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
      const isBackground = await this.#take(url.pathname, signal);
      if (!isBackground) return transport(request);
      try {
        return await transport(request);
      } finally {
        this.#inBackground -= 1;
      }
    };
  }

  /** Waits for room. Resolves to true for a read in the background: these wait in a queue, so that the page reads each node in turn. */
  async #take(path: string, signal: AbortSignal | undefined): Promise<boolean> {
    const ticket = Symbol(path);
    if (this.#isBackground(path)) this.#queue.push(ticket);
    try {
      for (;;) {
        signal?.throwIfAborted();
        // A waiting read comes to the foreground if its node is chosen meanwhile.
        const isBackground = this.#isBackground(path);
        if (this.#hasRoom(isBackground) && (!isBackground || this.#queue[0] === ticket)) {
          this.#sent.push({ at: performance.now(), isBackground });
          if (isBackground) this.#inBackground += 1;
          return isBackground;
        }
        if (isBackground && !this.#queue.includes(ticket)) this.#queue.push(ticket);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    } finally {
      if (this.#queue.includes(ticket)) this.#queue.splice(this.#queue.indexOf(ticket), 1);
    }
  }

  #isBackground(path: string): boolean {
    return path.endsWith('/summary') && !path.endsWith(`/nodes/${this.chosenNode}/summary`);
  }

  #hasRoom(isBackground: boolean): boolean {
    const start = performance.now() - WINDOW_MS;
    while ((this.#sent[0]?.at ?? Infinity) <= start) this.#sent.shift();
    if (this.#sent.length >= this.perMinute) return false;
    if (!isBackground) return true;
    const read = this.#sent.filter((sent) => sent.isBackground).length;
    return read < Math.max(1, this.perMinute / 2) && this.#inBackground < MOST_IN_BACKGROUND;
  }
}

function quarterOf(requestsPerMinute: number): number {
  return Math.max(1, Math.floor(requestsPerMinute / 4));
}
