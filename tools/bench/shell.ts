import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { canInstall, installPackages } from '../debian-packages.ts';
import { executables } from '../server-binaries.ts';

/**
 * A shell that runs programs as an operator's does. A process that is started from Node takes milliseconds more, which are not
 * the program's.
 */
export class Shell {
  readonly #process = spawn('sh', ['-c', LOOP], { stdio: ['pipe', 'pipe', 'inherit'] });
  readonly #lines = createInterface({ input: this.#process.stdout });

  /** Resolves when the program has ended; rejects when it failed. */
  async run(command: string): Promise<void> {
    const answered = once(this.#lines, 'line') as Promise<[string]>;
    this.#process.stdin.write(`${command}\n`);
    const [code] = await answered;
    if (code !== '0') throw new Error(`${command.slice(0, 200)} has failed with ${code}.`);
  }

  close(): void {
    this.#process.stdin.end();
    this.#process.kill('SIGKILL');
  }
}

const LOOP = 'while read -r line; do eval "$line" > /dev/null; echo $?; done';

/** The path of mysqladmin by either name. Where there is none, root gets Debian's mariadb-client installed. */
export async function findMysqladmin(): Promise<string | undefined> {
  const find = (): string | undefined =>
    [...executables('mariadb-admin'), ...executables('mysqladmin')][0];
  const found = find();
  if (found !== undefined || !canInstall()) return found;
  await installPackages('mariadb-client');
  return find();
}

/** The path of pt-kill. */
export function findPtKill(): string | undefined {
  return executables('pt-kill')[0];
}

/** A command line for mysqladmin that ends these sessions, by an account that needs no password. */
export function mysqladminKill(program: string, port: number, ids: readonly number[]): string {
  return `${program} --no-defaults --host=127.0.0.1 --port=${port} --user=root --skip-ssl kill ${ids.join(',')}`;
}

/** A command line for pt-kill that ends this session, and returns when it says so: pt-kill itself ends a second later. */
export function ptKill(program: string, port: number, id: number): string {
  const filter = `--match-all --filter '($event->{Id} || 0) == ${id}'`;
  const options = `--no-version-check --host 127.0.0.1 --port ${port} --user root ${filter} --victims all --interval 1 --run-time 1 --kill --print`;
  return `(${program} ${options} &) | { read -r line; [ "$line" ]; }`;
}
