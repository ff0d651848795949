import type { RedisCommand } from './redis-answer-scripts.ts';

const MAX_COMMANDS = 1000;
const MAX_BYTES = 16 * 1024 * 1024;

/** The commands that Redis is to get once it is back; past its bounds the oldest are dropped, and left to the limits of their reservations. */
export class LateCommands {
  readonly #commands = new Set<RedisCommand>();
  #bytes = 0;

  all(): readonly RedisCommand[] {
    return [...this.#commands];
  }

  add(command: RedisCommand): void {
    this.#commands.add(command);
    this.#bytes += byteLength(command);
    for (const oldest of this.#commands) {
      if (this.#commands.size <= MAX_COMMANDS && this.#bytes <= MAX_BYTES) return;
      this.delete(oldest);
    }
  }

  delete(command: RedisCommand): void {
    if (this.#commands.delete(command)) this.#bytes -= byteLength(command);
  }
}

function byteLength({ names, values }: RedisCommand): number {
  return [...names, ...values].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}
