import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { appendFileSync, chownSync, closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { cleanUpOnExit } from './lib/cleanup-on-exit.ts';

const CLEAR_UP = `
  [ -z "$latest" ] || kill -9 "$latest"
  for try in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" && break; sleep 0.1; done`;

/** The directory in which the programs of a throw-away server run. Both are removed when this process ends, or earlier. */
export class ServerHome {
  readonly #account = unprivilegedAccount();
  readonly #directory = mkdtempSync(resolve(tmpdir(), 'session-control-node-'));
  readonly #cleanup = cleanUpOnExit(CLEAR_UP, this.#directory);

  constructor() {
    if (this.#account !== undefined) {
      chownSync(this.#directory, this.#account.uid, this.#account.gid);
    }
  }

  /** Returns the path of a file in the directory. */
  path(name: string): string {
    return join(this.#directory, name);
  }

  /** Starts a program that dies with this process. The program overwrites the log. */
  launch(
    program: string,
    options: readonly string[],
    timeout?: number,
    environment: Readonly<Record<string, string>> = {},
  ): ChildProcess {
    const log = openSync(this.path('log'), 'w');
    const mortal = canDieWithParent();
    const command = mortal ? 'setpriv' : program;
    const child = spawn(
      command,
      [...(mortal ? ['--pdeathsig', 'KILL', program] : []), ...options],
      {
        ...this.#account,
        cwd: this.#directory,
        env: { ...process.env, HOME: this.#directory, TMPDIR: this.#directory, ...environment },
        stdio: ['ignore', log, log],
        timeout,
        killSignal: 'SIGKILL',
      },
    );
    closeSync(log);
    this.#cleanup.set(String(child.pid ?? ''));
    child.on('error', (error) => {
      appendFileSync(this.path('log'), error.message);
    });
    child.once('exit', () => {
      this.#cleanup.set('');
    });
    return child;
  }

  /** Returns the output of the last program. */
  log(): string {
    return readFileSync(this.path('log'), 'utf8').trimEnd();
  }

  /** Returns an error with a sentence and the last 20 log lines. */
  failure(sentence: string): Error {
    return new Error([`${sentence}:`, ...this.log().split('\n').slice(-20)].join('\n'));
  }

  /** Kills the last program if it still runs, and removes the directory. */
  async remove(): Promise<void> {
    await this.#cleanup.run();
  }
}

// Database servers refuse to run as root.
function unprivilegedAccount(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = (kind: '-u' | '-g'): number => Number(String(execFileSync('id', [kind, 'nobody'])));
  return { uid: idOf('-u'), gid: idOf('-g') };
}

// The cleanup shell also kills the program, but a little later, and not if that shell was killed.
function canDieWithParent(): boolean {
  return spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0;
}
