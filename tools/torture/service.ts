import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { canConnect } from '../can-connect.ts';
import { until } from '../lib/until.ts';
import { cleanUpOnExit } from '../lib/cleanup-on-exit.ts';
import type { History } from './history.ts';
import { CONTROL, type TortureNode } from './node.ts';
import { INSTANCE, NODES, PROJECT, TOKEN } from './wire.ts';

/** The whole of a request, without a wait that was asked for. */
export const REQUEST_TIMEOUT_MS = 2000;
const CLEAR_UP = '[ -z "$latest" ] || kill -9 "$latest"; rm -rf "$1"';

export interface ServiceOptions {
  /** The tree whose src/main.ts is run. */
  readonly source: string;
  readonly isAudited: boolean;
  /** A server that is no node, for the spare port of a single one. */
  readonly stranger?: TortureNode | undefined;
}

/** The service under test, a process of its own; its files last longer than its runs. */
export class Service {
  /** Whether it listens. */
  isUp = false;
  readonly #folder = mkdtempSync(resolve(tmpdir(), 'session-control-torture-'));
  readonly #cleanup = cleanUpOnExit(CLEAR_UP, this.#folder);
  // Below 32768, where the system begins to take ports for outgoing connections.
  readonly #port = randomInt(10_000, 32_000);
  readonly #options: ServiceOptions;
  readonly #history: History;
  #child: ChildProcess | undefined;
  #waited: { readonly pid: number | undefined; readonly ms: number } | undefined;

  constructor(options: ServiceOptions, nodes: readonly TortureNode[], history: History) {
    this.#options = options;
    this.#history = history;
    this.#configure(nodes);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Resolves when it listens. Rejects when it does not. */
  async start(): Promise<void> {
    this.#history.of({ what: 'service begins' });
    const log = openSync(join(this.#folder, 'log'), 'a');
    const { source } = this.#options;
    const child = spawn(process.execPath, ['--import', 'tsx', join(source, 'src', 'main.ts')], {
      cwd: source,
      env: { ...process.env, CONFIG_FILE: join(this.#folder, 'service.yaml') },
      stdio: ['ignore', log, log],
      // A Ctrl-C is for us alone.
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    this.#cleanup.set(String(child.pid ?? ''));
    const complaint = (): string => `The service does not listen: ${this.lastWords()}`;
    await until(complaint, () => child.exitCode !== null || canConnect(this.#port), 60_000);
    if (child.exitCode !== null) throw new Error(complaint());
    this.#history.of({ what: 'service is ready' });
    this.isUp = true;
  }

  /** Ends it without warning. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    this.isUp = false;
    this.#history.of({ what: 'service is killed' });
    child.kill('SIGKILL');
    await once(child, 'exit');
    this.#cleanup.set('');
  }

  /** For how many milliseconds since the last question it could have run and had no core; 0 where the system does not tell. */
  waitedMs(): number {
    const { pid } = this.#child ?? {};
    let waited = 0;
    try {
      // Nanoseconds on a core, nanoseconds of waiting for one, and how often it ran.
      const told = readFileSync(`/proc/${pid ?? ''}/schedstat`, 'utf8').split(' ');
      waited = Number(told[1]) / 1e6;
    } catch {
      return 0;
    }
    const last = this.#waited;
    this.#waited = { pid, ms: waited };
    return last !== undefined && last.pid === pid ? waited - last.ms : 0;
  }

  /** Whether it ended by itself. */
  get hasFailed(): boolean {
    return this.#child !== undefined && this.#child.exitCode !== null;
  }

  /** What it wrote last. */
  lastWords(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8').slice(-2_000);
  }

  /** The whole audit file; undefined without one. */
  audit(): string | undefined {
    const file = join(this.#folder, 'audit.jsonl');
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  }

  async remove(): Promise<void> {
    await this.kill();
    await this.#cleanup.run();
  }

  #configure(nodes: readonly TortureNode[]): void {
    const sha256 = createHash('sha256').update(TOKEN).digest('hex');
    const token = { sha256, user: 'torture', project_id: PROJECT, actions: ['gaussdbformysql:*'] };
    const config = {
      server: { host: '127.0.0.1', port: this.#port },
      log: { level: 'warn' },
      limits: { request_timeout_ms: REQUEST_TIMEOUT_MS, requests_per_minute: 1_000_000 },
      node_defaults: { connect_timeout_ms: 700, list_timeout_ms: 700, kill_timeout_ms: 400 },
      registry: { file: 'nodes.yaml' },
      identity: { tokens: [token] },
      ...(this.#options.isAudited && { audit: { file: 'audit.jsonl' } }),
    };
    const entries = nodes.map(({ kind, proxy }, index) => {
      // The spare port of each belongs to another server: it must never be used.
      const spare = nodes[index + 1] ?? this.#options.stranger ?? nodes[index - 1];
      return {
        ...{ node_id: NODES[kind], instance_id: INSTANCE, project_id: PROJECT },
        // In the clear, so that faults can be placed at statements.
        ...{ host: '127.0.0.1', port: proxy.port, ...CONTROL, tls: 'disabled' },
        ...(spare && { admin_port: spare.port }),
      };
    });
    writeFileSync(join(this.#folder, 'service.yaml'), stringify(config));
    writeFileSync(join(this.#folder, 'nodes.yaml'), stringify({ nodes: entries }));
  }
}
