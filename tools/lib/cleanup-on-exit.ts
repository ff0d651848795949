import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Shell commands that run when this process ends, even after `kill -9`, or earlier on demand. */
export interface CleanupOnExit {
  /** Sets `$latest` for the commands. The last value counts. */
  set(latest: string): void;
  /** Runs the commands now, and resolves when they have ended. */
  run(): Promise<void>;
}

/**
 * Starts a shell that runs `commands` at the end of its input, with `values` as `$1`, `$2` and so on.
 * The kernel closes the input when this process ends, so the commands run even after `kill -9`.
 */
export function cleanUpOnExit(commands: string, ...values: readonly string[]): CleanupOnExit {
  // A Ctrl-C reaches the whole process group, and the shell must survive it.
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
