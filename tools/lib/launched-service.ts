import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canConnect } from '../can-connect.ts';
import { cleanUpOnExit } from './cleanup-on-exit.ts';
import { until } from './until.ts';

/** The path of the folder of this repository. */
export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/** The arguments of Node that run the service from the sources in the current folder. */
export const FROM_SOURCES: readonly string[] = ['--import', 'tsx', 'src/main.ts'];

/** How a service is launched. */
export interface LaunchOptions {
  /** The arguments of Node; `FROM_SOURCES` by default. */
  readonly program?: readonly string[];
  /** The working directory; this repository by default. */
  readonly cwd?: string;
  /** True if the output goes to the file `log` in the service's folder. Otherwise this process reads the output. */
  readonly hasLogFile?: boolean;
}

const CLEAN_UP = '[ -z "$latest" ] || kill -9 "$latest"; rm -rf "$1"';
const START_DEADLINE_MS = 60_000;

/** The service as a process, with a folder for its files. Both are removed when this process ends, or earlier. */
export class LaunchedService {
  readonly folder = mkdtempSync(join(tmpdir(), 'session-control-service-'));
  /** A port for the configuration of the service, below the range from which Linux takes ports for outgoing connections. */
  readonly port = randomInt(10_000, 32_000);
  /** The exit code: null after a signal, undefined before the end. */
  exitCode: number | null | undefined;
  protected child: ChildProcess | undefined;
  readonly #options: LaunchOptions;
  readonly #cleanup = cleanUpOnExit(CLEAN_UP, this.folder);
  #output = '';

  constructor(options: LaunchOptions = {}) {
    this.#options = options;
  }

  /** Writes a file into the folder of the service. */
  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  /** Starts the process. `under` is a command that runs the process, such as strace. */
  start(environment: NodeJS.ProcessEnv = {}, under: readonly string[] = []): void {
    const { program = FROM_SOURCES, cwd = REPOSITORY, hasLogFile = false } = this.#options;
    this.#output = '';
    this.exitCode = undefined;
    const log = hasLogFile ? openSync(this.#logFile, 'w') : 'pipe';
    const command = [...under, process.execPath, ...program];
    const child = spawn(command[0] ?? '', command.slice(1), {
      cwd,
      env: {
        PATH: process.env['PATH'],
        CONFIG_FILE: join(this.folder, 'service.yaml'),
        ...environment,
      },
      stdio: [hasLogFile ? 'ignore' : 'pipe', log, log],
      // A process group of its own: Ctrl-C reaches only this process, which then stops the service.
      detached: true,
    });
    if (typeof log === 'number') closeSync(log);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    }
    child.on('error', ({ message }) => (this.#output += message));
    child.on('close', (code) => {
      this.exitCode = code;
      this.#cleanup.set('');
    });
    this.#cleanup.set(String(child.pid ?? ''));
    this.child = child;
  }

  /** Starts the process and resolves when it listens on `port`. Rejects with its last output if the process ends first. */
  async launch(): Promise<void> {
    this.start();
    await this.#listens(() => canConnect(this.port));
  }

  /** Resolves to the base of its URLs once its log shows the port. Rejects with its last output if the process ends first. */
  async url(): Promise<string> {
    await this.#listens(() => this.events('listening').length > 0);
    return `http://127.0.0.1:${String(this.events('listening')[0]?.['port'])}`;
  }

  /** All text that the service wrote to both outputs since its last start. */
  get output(): string {
    return this.#options.hasLogFile === true ? readFileSync(this.#logFile, 'utf8') : this.#output;
  }

  /** Returns the log lines with this message. */
  events(message: string): Record<string, unknown>[] {
    return this.output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((event) => event['message'] === message);
  }

  /** The process id, or 0 before the first start. */
  get processId(): number {
    return this.child?.pid ?? 0;
  }

  /** True between a start and the end of the process. */
  get isRunning(): boolean {
    return this.child !== undefined && this.exitCode === undefined;
  }

  /** Returns the resident memory of the service in KB. */
  residentKb(): number {
    const status = readFileSync(`/proc/${this.processId}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? NaN);
  }

  /** Sends a signal to the service. */
  signal(name: NodeJS.Signals): void {
    this.child?.kill(name);
  }

  /** Resolves to the exit code when the service has ended. */
  async ended(): Promise<number | null | undefined> {
    await until('the service has ended', () => !this.isRunning);
    return this.exitCode;
  }

  /** Sends a signal and resolves when the service has ended. */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.signal(signal);
    await this.ended();
  }

  /** Kills the service if it still runs, and removes its folder. */
  remove(): void {
    this.signal('SIGKILL');
    rmSync(this.folder, { recursive: true });
    void this.#cleanup.run();
  }

  get #logFile(): string {
    return join(this.folder, 'log');
  }

  async #listens(fact: () => boolean | Promise<boolean>): Promise<void> {
    const hasEnded = (): boolean => !this.isRunning;
    const name = (): string => `the service listens: ${this.output.slice(-2000)}`;
    await until(name, async () => hasEnded() || (await fact()), START_DEADLINE_MS, 3);
    if (hasEnded()) throw new Error(`The service does not listen: ${this.output.slice(-2000)}`);
  }
}
