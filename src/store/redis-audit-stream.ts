import type {
  LineReader,
  Period,
  ReadBudget,
  SharedRead,
  SharedRecords,
} from '../domain/kill-history.ts';
import type { RedisConnection, RedisReply } from './redis-connection.ts';

const STREAM = 'session-control:audit';
/** Lines whose time is not that of Redis: they were shared late, or the clocks differ. */
const LATE_STREAM = 'session-control:late-audit';
/** With the memory that Redis needs for an entry, both streams take at most 64 MiB. */
const MAX_BYTES = 44 * 1024 * 1024;
const MAX_LATE_BYTES = 4 * 1024 * 1024;
/** The bytes that an entry takes besides its line, at most. */
const ENTRY_BYTES = 100;
/** A line of the stream has a time that differs from that of Redis by at most this time, in milliseconds. */
const LATE_MS = 5000;
/** An outcome is written at most this time after its intent, in milliseconds: the longest wait of a request, and more. */
const OUTCOME_MS = 2 * 3_600_000;
/** The limits of the lines that wait to be shared. */
const MAX_WAITING_LINES = 1000;
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
/** The number of entries in one reply. An entry can have 1,000 sessions. */
const PAGE = 100;

// Each entry has the number of bytes up to its end: the difference of two entries is the size of those between them.
const SHARE = `
  local line, time, late_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
  local now = redis.call('TIME')
  local is_late = math.abs(now[1] * 1000 + now[2] / 1000 - time) > late_ms
  local key = is_late and KEYS[2] or KEYS[1]
  local most = tonumber(is_late and ARGV[5] or ARGV[4])
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  local size = #line + ARGV[6]
  local bytes = (last and tonumber(last[2][2]) or 0) + size
  redis.call('XADD', key, '*', 'end', string.format('%.0f', bytes), 'line', line)
  while true do
    local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
    if not first or bytes - first[2][2] + #first[2][4] <= most then break end
    redis.call('XDEL', key, first[1])
  end
  return false`;

/** An entry of a stream. */
interface Entry {
  /** The time of Redis at which it was added, in milliseconds since 1970. */
  readonly addedAt: number;
  readonly id: string;
  readonly line: string;
}

interface Waiting {
  readonly line: string;
  readonly time: number;
}

/** The records of kills of all replicas, in one Redis: the newest ones of at most 64 MiB. */
export class RedisAuditStream implements SharedRecords {
  readonly #redis: RedisConnection;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #isSending = false;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
    redis.onReady(() => void this.#send());
  }

  share(line: string, time: number): void {
    this.#waiting.push({ line, time });
    this.#waitingBytes += line.length;
    // The file has the lines that are dropped here: the next start shares them if they are among the last.
    while (this.#waiting.length > MAX_WAITING_LINES || this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#waitingBytes -= this.#waiting.shift()?.line.length ?? 0;
    }
    void this.#send();
  }

  async shareMissing(lines: readonly Waiting[]): Promise<void> {
    const [oldest] = lines;
    if (oldest === undefined) return;
    const there = new Set(this.#waiting.map(({ line }) => line));
    const begin = `${Math.max(0, oldest.time - LATE_MS)}`;
    for (const [key, start] of [
      [STREAM, begin],
      [LATE_STREAM, '-'],
    ] as const) {
      for await (const { line } of this.#entries('XRANGE', key, start, '+')) there.add(line);
    }
    for (const { line, time } of lines) if (!there.has(line)) this.share(line, time);
  }

  async read(
    { from, until }: Period,
    { add, isUnresolved }: LineReader,
    budget: ReadBudget,
  ): Promise<SharedRead | undefined> {
    try {
      const [first] = entriesIn(await this.#redis.send('XRANGE', STREAM, '-', '+', 'COUNT', '1'));
      for await (const { line } of this.#entries('XRANGE', LATE_STREAM, '-', '+')) add(line);
      const end = until === Infinity ? '+' : `${until + LATE_MS}`;
      const start = `${Math.max(0, from - LATE_MS)}`;
      let readFrom = -Infinity;
      let isFirst = true;
      for await (const { line, addedAt } of this.#entries('XREVRANGE', STREAM, end, start)) {
        if (!isFirst && (budget.left <= 0 || budget.isOver)) {
          readFrom = addedAt + LATE_MS + 1;
          break;
        }
        isFirst = false;
        budget.spend(add(line));
      }
      const last = `${until + OUTCOME_MS}`;
      if (until !== Infinity && isUnresolved()) {
        for await (const { line } of this.#entries('XRANGE', STREAM, `(${end}`, last)) {
          add(line);
          if (budget.isOver || !isUnresolved()) break;
        }
      }
      return { readFrom, since: first?.addedAt ?? Infinity };
    } catch {
      // The connection reports its loss by itself.
      return undefined;
    }
  }

  async *#entries(
    command: 'XRANGE' | 'XREVRANGE',
    key: string,
    start: string,
    end: string,
  ): AsyncGenerator<Entry> {
    for (let next = start; ;) {
      const page = entriesIn(
        await this.#redis.send(command, key, next, end, 'COUNT', PAGE.toString()),
      );
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      next = `(${last.id}`;
    }
  }

  /** Sends the waiting lines in their order. A line whose reply is lost is sent again: a reader finds each kill once. */
  async #send(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
        const numbers = [next.time, LATE_MS, MAX_BYTES, MAX_LATE_BYTES, ENTRY_BYTES].map(String);
        await this.#redis.send('EVAL', SHARE, '2', STREAM, LATE_STREAM, next.line, ...numbers);
        if (this.#waiting[0] === next) this.#waiting.shift();
        else continue;
        this.#waitingBytes -= next.line.length;
      }
    } catch {
      // The lines wait for the next line, or for the next connection.
    } finally {
      this.#isSending = false;
    }
  }
}

function entriesIn(reply: RedisReply): readonly Entry[] {
  return (reply as readonly (readonly [string, readonly string[]])[]).map(([id, fields]) => ({
    id,
    addedAt: Number(id.split('-', 1)[0]),
    line: fields[3] ?? '',
  }));
}
