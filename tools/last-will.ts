import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Shell commands that are carried out when this process ends, in whatever way, or before. */
export interface LastWill {
  /** Tells the commands something: they find what was written last in `$told`. */
  write(line: string): void;
  /** Has the commands carried out now, and waits for their end. */
  execute(): Promise<void>;
}

/**
 * Leaves `commands` (with `values` as `$1`, `$2`, ...) to a small shell, which waits for the end of
 * its input. That comes when this process ends, by `kill -9` too, when no handler of ours could run.
 */
export function makeWill(commands: string, ...values: readonly string[]): LastWill {
  // A Ctrl-C reaches the whole process group, and the shell has to outlive it.
  const wait = `trap '' INT TERM HUP; told=; while read -r line; do told=$line; done`;
  const shell = spawn('sh', ['-c', `${wait}; ${commands}`, 'last-will', ...values], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = once(shell, 'exit');
  shell.stdin.on('error', () => undefined);
  shell.unref();
  return {
    write: (line) => void shell.stdin.write(`${line}\n`),
    execute: async () => {
      shell.ref();
      shell.stdin.end();
      await ended;
    },
  };
}
