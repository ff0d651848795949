import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configure, identityOf } from '../lib/configuration.ts';
import { LaunchedService } from '../lib/launched-service.ts';
import type { History } from './history.ts';
import { CONTROL, type TortureNode } from './node.ts';
import { INSTANCE, NODES, PROJECT, TOKEN } from './wire.ts';

/** The whole of a request, without a wait that was asked for. */
export const REQUEST_TIMEOUT_MS = 2000;

export interface ServiceOptions {
  /** The tree whose src/main.ts is run. */
  readonly source: string;
  readonly isAudited: boolean;
  /** A server that is no node, for the spare port of a single one. */
  readonly stranger?: TortureNode | undefined;
}

/** The service under test. Its files last longer than its runs. */
export class Service extends LaunchedService {
  /** Whether it listens. */
  isUp = false;
  readonly #isAudited: boolean;
  readonly #history: History;
  #waited: { readonly pid: number; readonly ms: number } | undefined;

  constructor(options: ServiceOptions, nodes: readonly TortureNode[], history: History) {
    super({ cwd: options.source, hasLogFile: true });
    this.#isAudited = options.isAudited;
    this.#history = history;
    this.#configure(nodes, options.stranger);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  override async launch(): Promise<void> {
    this.#history.of({ what: 'service begins' });
    await super.launch();
    this.#history.of({ what: 'service is ready' });
    this.isUp = true;
  }

  /** Ends it without warning. */
  async kill(): Promise<void> {
    if (!this.isRunning) return;
    this.isUp = false;
    this.#history.of({ what: 'service is killed' });
    await this.stop();
  }

  /** For how many milliseconds since the last question it could have run and had no core; 0 where the system does not tell. */
  waitedMs(): number {
    const pid = this.processId;
    let waited = 0;
    try {
      // Nanoseconds on a core, nanoseconds of waiting for one, and how often it ran.
      const times = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ');
      waited = Number(times[1]) / 1e6;
    } catch {
      return 0;
    }
    const last = this.#waited;
    this.#waited = { pid, ms: waited };
    return last !== undefined && last.pid === pid ? waited - last.ms : 0;
  }

  /** Whether it ended by itself. */
  get hasFailed(): boolean {
    return typeof this.exitCode === 'number';
  }

  /** The whole audit file; undefined without one. */
  audit(): string | undefined {
    const file = join(this.folder, 'audit.jsonl');
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  }

  #configure(nodes: readonly TortureNode[], stranger: TortureNode | undefined): void {
    const settings = {
      server: { host: '127.0.0.1', port: this.port },
      log: { level: 'warn' },
      limits: { request_timeout_ms: REQUEST_TIMEOUT_MS, requests_per_minute: 1_000_000 },
      node_defaults: { connect_timeout_ms: 700, list_timeout_ms: 700, kill_timeout_ms: 400 },
      identity: identityOf(PROJECT, { torture: TOKEN }),
      ...(this.#isAudited && { audit: { file: 'audit.jsonl' } }),
    };
    const entries = nodes.map(({ kind, proxy }, index) => {
      // The spare port of each belongs to another server: it must never be used.
      const spare = nodes[index + 1] ?? stranger ?? nodes[index - 1];
      return {
        ...{ node_id: NODES[kind], instance_id: INSTANCE, project_id: PROJECT },
        // In the clear, so that faults can be placed at statements.
        ...{ host: '127.0.0.1', port: proxy.port, ...CONTROL, tls: 'disabled' },
        ...(spare && { admin_port: spare.port }),
      };
    });
    configure(this, settings, entries);
  }
}
