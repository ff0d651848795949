import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { appendFileSync, chownSync, closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { cleanUpOnExit } from './lib/cleanup-on-exit.ts';

const CLEAR_UP = `
  [ -z "$latest" ] || kill -9 "$latest"
  for try in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" && break; sleep 0.1; done`;

/** The directory of one throw-away server, in which its programs run; both go when we go. */
export class ServerHome {
  readonly #account = unprivilegedAccount();
  readonly #directory = mkdtempSync(resolve(tmpdir(), 'session-control-node-'));
  readonly #cleanup = cleanUpOnExit(CLEAR_UP, this.#directory);

  constructor() {
    if (this.#account !== undefined) {
      chownSync(this.#directory, this.#account.uid, this.#account.gid);
    }
  }

  path(name: string): string {
    return join(this.#directory, name);
  }

  /** Starts a program, which writes into the log from its beginning and dies with this process. */
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

  /** What the program launched last has written. */
  log(): string {
    return readFileSync(this.path('log'), 'utf8').trimEnd();
  }

  /** An error with a sentence and what was logged last. */
  failure(sentence: string): Error {
    return new Error([`${sentence}:`, ...this.log().split('\n').slice(-20)].join('\n'));
  }

  /** Kills the program launched last, if it still runs, and removes the directory. */
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

// The cleanup does it too, a moment later; this also holds if somebody kills its shell.
function canDieWithParent(): boolean {
  return spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0;
}
