import { createHash } from 'node:crypto';
import {
  bytesOf,
  REMEMBERED_MS,
  type Remembered,
  type Reservation,
} from '../domain/answer-store.ts';
import type { RedisReply } from './redis-connection.ts';

/** A Lua script with its keys and arguments. */
export interface RedisCommand {
  readonly script: string;
  readonly names: readonly string[];
  readonly values: readonly string[];
}

/** The limits of a retry queue. */
const MAX_COMMANDS = 1000;
const MAX_BYTES = 16 * 1024 * 1024;

/** The reply to `reserving` at the limit of the owner. */
export const TOO_MUCH = 'too much';

const ANSWER_PREFIX = 'session-control:answer:';
const OWNER_PREFIX = 'session-control:owner:';
/** The bytes of an owner are counted by the minute of the reservation. A count is kept until the last entry of its minute has expired. */
const COUNTED_MS = REMEMBERED_MS + 60_000;

// Redis runs each script as one step. The age is computed from the remaining time to live: no clocks of hosts are compared.
// KEYS[1] is the reservation. KEYS[2] maps each minute, by its first millisecond, to the bytes of the owner.
const READ = `
  local found = redis.call('HMGET', KEYS[1], 'fingerprint', 'limit', 'answer')
  found[4] = redis.call('PTTL', KEYS[1])
  return found`;
const RESERVE = `
  local fingerprint, limit, ticket, remembered_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
  local bytes, max_bytes, counted_ms = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
  if redis.call('EXISTS', KEYS[1]) == 1 then ${READ} end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local counted = redis.call('HGETALL', KEYS[2])
  for at = 1, #counted, 2 do
    if math.abs(now - counted[at]) < counted_ms then
      bytes = bytes + counted[at + 1]
    else
      redis.call('HDEL', KEYS[2], counted[at])
    end
  end
  if bytes > max_bytes then return '${TOO_MUCH}' end
  local minute = string.format('%.0f', now - now % 60000)
  redis.call('HSET', KEYS[1],
    'fingerprint', fingerprint, 'limit', limit, 'ticket', ticket, 'minute', minute)
  redis.call('PEXPIRE', KEYS[1], remembered_ms)
  redis.call('HINCRBY', KEYS[2], minute, ARGV[5])
  redis.call('PEXPIRE', KEYS[2], counted_ms)
  return false`;
// A count that has expired must not be created again: it would never expire.
const COUNT = `
  if redis.call('HEXISTS', KEYS[2], minute) == 1 then
    redis.call('HINCRBY', KEYS[2], minute, more)
  end`;
const COMPLETE = `
  local ticket, minute = unpack(redis.call('HMGET', KEYS[1], 'ticket', 'minute'))
  if ticket ~= ARGV[1] then return false end
  local more = #ARGV[2] - redis.call('HSTRLEN', KEYS[1], 'answer')
  redis.call('HSET', KEYS[1], 'answer', ARGV[2])
  ${COUNT}
  return false`;
// DEL comes before the count, since a full Redis refuses a script that begins with a write which takes memory.
const RELEASE = `
  local ticket, minute, answer = unpack(redis.call('HMGET', KEYS[1], 'ticket', 'minute', 'answer'))
  if ticket ~= ARGV[1] or answer then return false end
  redis.call('DEL', KEYS[1])
  local more = -ARGV[2]
  ${COUNT}
  return false`;

/**
 * Returns the command that makes a reservation. The ticket identifies it among reservations of one key. The reply is `TOO_MUCH`, or an
 * input of `remembered`.
 */
export function reserving(
  reservation: Reservation,
  ticket: string,
  bytesPerOwner: number,
): RedisCommand {
  const { fingerprint, limitMs } = reservation;
  const numbers = [REMEMBERED_MS, bytesOf(reservation), bytesPerOwner, COUNTED_MS];
  const values = [fingerprint, limitMs.toString(), ticket, ...numbers.map(String)];
  return { script: RESERVE, names: namesOf(reservation), values };
}

/** Returns the command that reads an entry. Pass its reply to `remembered`. */
export function reading(key: string): RedisCommand {
  return { script: READ, names: [answerName(key)], values: [] };
}

/** Returns the command that stores an answer if the reservation with this ticket exists. */
export function completing(reservation: Reservation, ticket: string, answer: string): RedisCommand {
  return { script: COMPLETE, names: namesOf(reservation), values: [ticket, answer] };
}

/** Returns the command that deletes the reservation with this ticket if it exists and has no answer. */
export function releasing(reservation: Reservation, ticket: string): RedisCommand {
  const values = [ticket, bytesOf(reservation).toString()];
  return { script: RELEASE, names: namesOf(reservation), values };
}

/** Returns the entry in a reply, or undefined if there is none. */
export function remembered(reply: RedisReply): Remembered | undefined {
  if (!Array.isArray(reply)) return undefined;
  const [fingerprint, limit, answer, leftMs] = reply as readonly RedisReply[];
  if (typeof fingerprint !== 'string') return undefined;
  return {
    fingerprint,
    answer: typeof answer === 'string' ? answer : undefined,
    ageMs: REMEMBERED_MS - Number(leftMs),
    limitMs: Number(limit),
  };
}

/**
 * The commands to repeat once Redis is back. Beyond 1,000 commands or 16 MiB, the oldest ones are dropped. The reservations of dropped
 * commands end by their time limits.
 */
export class RedisRetryQueue {
  readonly #commands = new Set<RedisCommand>();
  #bytes = 0;

  /** Returns the commands, the oldest first. */
  all(): readonly RedisCommand[] {
    return [...this.#commands];
  }

  /** Adds a command, and drops the oldest ones beyond the limits. */
  add(command: RedisCommand): void {
    this.#commands.add(command);
    this.#bytes += byteLength(command);
    for (const oldest of this.#commands) {
      if (this.#commands.size <= MAX_COMMANDS && this.#bytes <= MAX_BYTES) return;
      this.delete(oldest);
    }
  }

  /** Removes a command if it is queued. */
  delete(command: RedisCommand): void {
    if (this.#commands.delete(command)) this.#bytes -= byteLength(command);
  }
}

function byteLength({ names, values }: RedisCommand): number {
  return [...names, ...values].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

function namesOf({ key, owner }: Reservation): readonly [answer: string, owner: string] {
  return [answerName(key), OWNER_PREFIX + sha256(owner)];
}

// Other users of Redis should not see a key: it names a caller, and can be a signature.
function answerName(key: string): string {
  return ANSWER_PREFIX + sha256(key);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
