import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { canConnect } from '../can-connect.ts';
import { until } from '../lib/until.ts';
import { cleanUpOnExit } from '../lib/cleanup-on-exit.ts';
import { CONTROL, instanceId, nodeId, NODES_HOST, PROJECT, sha256, TOKENS } from './names.ts';

/** Memory that could be given back at any moment says nothing of what is needed. */
const COLLECT_ON_SIGNAL = `process.on('SIGUSR2', () => globalThis.gc());`;
const CLEAR_UP = '[ -z "$latest" ] || kill -9 "$latest"; rm -rf "$1"';

/** The service as it is built and run, a process of its own; its files last longer than its runs. */
export class Service {
  // Below 32768, where the system begins to take ports for outgoing connections.
  readonly port = randomInt(10_000, 32_000);
  readonly #folder = mkdtempSync(join(tmpdir(), 'session-control-fleet-'));
  readonly #cleanup = cleanUpOnExit(CLEAR_UP, this.#folder);
  #child: ChildProcess | undefined;

  /** Compiles the sources of this tree. */
  async build(source: string): Promise<void> {
    const folder = join(this.#folder, 'build');
    mkdirSync(folder);
    symlinkSync(realpathSync(join(source, 'node_modules')), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(folder, 'collect.js'), COLLECT_ON_SIGNAL);
    const tsc = join(source, 'node_modules', 'typescript', 'bin', 'tsc');
    const to = ['--outDir', join(folder, 'dist')];
    const compile = [tsc, '-p', 'tsconfig.build.json', ...to];
    const compiling = promisify(execFile)(process.execPath, compile, { cwd: source });
    // It would make the folder again.
    this.#cleanup.set(String(compiling.child.pid ?? ''));
    try {
      await compiling;
      this.#cleanup.set('');
    } catch (error) {
      throw new Error(`The service does not compile: ${(error as { stdout: string }).stdout}`, {
        cause: error,
      });
    }
  }

  /** Writes both files; the nodes are told by number and port. */
  configure(warm: 'all' | 'on_demand', nodes: readonly (readonly [number, number])[]): void {
    const config = {
      server: { port: this.port, max_connections_per_address: 4096 },
      limits: { requests_per_minute: 1_000_000 },
      registry: { file: 'nodes.yaml', warm },
      identity: {
        tokens: TOKENS.map((token) => ({
          ...{ sha256: sha256(token), user: token, project_id: PROJECT, actions: ['*'] },
        })),
      },
      audit: { file: 'audit.jsonl' },
    };
    const entries = nodes.map(([node, port]) => ({
      ...{ node_id: nodeId(node), instance_id: instanceId(node), project_id: PROJECT },
      ...{ host: NODES_HOST, port, ...CONTROL, tls: 'disabled' },
    }));
    writeFileSync(join(this.#folder, 'service.yaml'), stringify(config));
    writeFileSync(join(this.#folder, 'nodes.yaml'), stringify({ nodes: entries }));
  }

  /** Resolves when it listens. Rejects when it does not. */
  async start(): Promise<void> {
    const log = openSync(join(this.#folder, 'log'), 'w');
    const build = join(this.#folder, 'build');
    const hook = ['--expose-gc', '--import', join(build, 'collect.js')];
    const main = join(build, 'dist', 'main.js');
    const child = spawn(process.execPath, [...hook, '--enable-source-maps', main], {
      env: { PATH: process.env['PATH'], CONFIG_FILE: join(this.#folder, 'service.yaml') },
      stdio: ['ignore', log, log],
      // A Ctrl-C is for us alone.
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    this.#cleanup.set(String(child.pid ?? ''));
    const complaint = (): string => `the service does not listen: ${this.#log().slice(-2000)}`;
    await until(complaint, () => child.exitCode !== null || canConnect(this.port), 60_000);
    if (child.exitCode !== null) throw new Error(complaint());
  }

  /** Has it read its files again; resolves when it has. */
  async reload(): Promise<void> {
    this.#child?.kill('SIGHUP');
    const hasReloaded = (): boolean => this.#log().includes('"message":"reloaded"');
    await until('the service has reloaded', hasReloaded);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    this.#cleanup.set('');
  }

  async remove(): Promise<void> {
    await this.stop();
    await this.#cleanup.run();
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** What it has of the machine's memory, in KB. */
  residentKb(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? NaN);
  }

  /** Has it collect its garbage. */
  collectGarbage(): void {
    this.#child?.kill('SIGUSR2');
  }

  openFiles(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  #log(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8');
  }
}
