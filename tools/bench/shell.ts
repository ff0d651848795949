import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { canInstall, installPackages } from '../debian-packages.ts';
import { executables } from '../server-binaries.ts';

/**
 * A shell that runs programs as an operator's shell does. A start from Node would add milliseconds that are not the program's.
 */
export class Shell {
  readonly #process = spawn('sh', ['-c', LOOP], { stdio: ['pipe', 'pipe', 'inherit'] });
  readonly #lines = createInterface({ input: this.#process.stdout });

  /** Runs a command and resolves when it has ended. Rejects if it failed. */
  async run(command: string): Promise<void> {
    const answered = once(this.#lines, 'line') as Promise<[string]>;
    this.#process.stdin.write(`${command}\n`);
    const [code] = await answered;
    if (code !== '0') throw new Error(`${command.slice(0, 200)} failed with exit code ${code}.`);
  }

  /** Ends the shell. */
  close(): void {
    this.#process.stdin.end();
    this.#process.kill('SIGKILL');
  }
}

const LOOP = 'while read -r line; do eval "$line" > /dev/null; echo $?; done';

/** Resolves to the path of mariadb-admin or mysqladmin. Installs Debian's mariadb-client if both are missing and this process is root. */
export async function findMysqladmin(): Promise<string | undefined> {
  const find = (): string | undefined =>
    [...executables('mariadb-admin'), ...executables('mysqladmin')][0];
  const found = find();
  if (found !== undefined || !canInstall()) return found;
  await installPackages('mariadb-client');
  return find();
}

/** Returns the path of pt-kill, or undefined. */
export function findPtKill(): string | undefined {
  return executables('pt-kill')[0];
}

/** Returns a mysqladmin command that ends these sessions, as root without a password. */
export function mysqladminKill(program: string, port: number, ids: readonly number[]): string {
  return `${program} --no-defaults --host=127.0.0.1 --port=${port} --user=root --skip-ssl kill ${ids.join(',')}`;
}

/** Returns a pt-kill command that ends this session. The command ends at pt-kill's first output, because pt-kill itself runs a second longer. */
export function ptKill(program: string, port: number, id: number): string {
  const filter = `--match-all --filter '($event->{Id} || 0) == ${id}'`;
  const options = `--no-version-check --host 127.0.0.1 --port ${port} --user root ${filter} --victims all --interval 1 --run-time 1 --kill --print`;
  return `(${program} ${options} &) | { read -r line; [ "$line" ]; }`;
}
