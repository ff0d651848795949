import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Shell commands that run when this process ends, in whatever way, or earlier on demand. */
export interface CleanupOnExit {
  /** Sets `$latest` for the commands: the last value before the end counts. */
  set(latest: string): void;
  /** Runs the commands at once, and resolves when they have ended. */
  run(): Promise<void>;
}

/**
 * Leaves `commands` (with `values` as `$1`, `$2`, ...) to a small shell, which waits for the end of
 * its input. That comes when this process ends, by `kill -9` too, when no handler of ours could run.
 */
export function cleanUpOnExit(commands: string, ...values: readonly string[]): CleanupOnExit {
  // A Ctrl-C reaches the whole process group, and the shell has to outlive it.
  const wait = `trap '' INT TERM HUP; latest=; while read -r line; do latest=$line; done`;
  const shell = spawn('sh', ['-c', `${wait}; ${commands}`, 'cleanup-on-exit', ...values], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = once(shell, 'exit');
  shell.stdin.on('error', () => undefined);
  shell.unref();
  return {
    set: (latest) => void shell.stdin.write(`${latest}\n`),
    run: async () => {
      shell.ref();
      shell.stdin.end();
      await ended;
    },
  };
}
