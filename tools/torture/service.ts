import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configure, identityOf } from '../lib/configuration.ts';
import { LaunchedService } from '../lib/launched-service.ts';
import type { History } from './history.ts';
import { CONTROL, type TortureNode } from './node.ts';
import { INSTANCE, NODES, PROJECT, TOKEN } from './wire.ts';

/** The configured time limit of a request in milliseconds. A `wait` comes on top. */
export const REQUEST_TIMEOUT_MS = 2000;

/** The options of the service under test. */
export interface ServiceOptions {
  /** The checkout whose src/main.ts is run. */
  readonly source: string;
  readonly isAudited: boolean;
  /** The time limit of a request in milliseconds; `REQUEST_TIMEOUT_MS` by default. */
  readonly requestTimeoutMs?: number | undefined;
  /** A server that is no node. If there is only one node, its spare port belongs to this server. */
  readonly otherServer?: TortureNode | undefined;
}

/** The service under test. Its files survive a restart. */
export class Service extends LaunchedService {
  /** True while the service listens. */
  isUp = false;
  readonly #isAudited: boolean;
  readonly #history: History;
  #waited: { readonly pid: number; readonly ms: number } | undefined;

  constructor(options: ServiceOptions, nodes: readonly TortureNode[], history: History) {
    super({ cwd: options.source, hasLogFile: true });
    this.#isAudited = options.isAudited;
    this.#history = history;
    this.#configure(nodes, options);
  }

  /** The base of its URLs. */
  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  override async launch(): Promise<void> {
    this.#history.of({ what: 'service begins' });
    await super.launch();
    this.#history.of({ what: 'service is ready' });
    this.isUp = true;
  }

  /** Kills the service with SIGKILL. */
  async kill(): Promise<void> {
    if (!this.isRunning) return;
    this.isUp = false;
    this.#history.of({ what: 'service is killed' });
    await this.stop();
  }

  /** Returns how many milliseconds the service has waited for a core since the last call; 0 if the system does not report this. */
  waitedMs(): number {
    const pid = this.processId;
    let waited = 0;
    try {
      // The fields are nanoseconds on a core, nanoseconds of waiting for a core, and the number of runs.
      const times = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ');
      waited = Number(times[1]) / 1e6;
    } catch {
      return 0;
    }
    const last = this.#waited;
    this.#waited = { pid, ms: waited };
    return last !== undefined && last.pid === pid ? waited - last.ms : 0;
  }

  /** True if the service ended by itself. */
  get hasFailed(): boolean {
    return typeof this.exitCode === 'number';
  }

  /** Returns the audit file, or undefined if there is none. */
  audit(): string | undefined {
    const file = join(this.folder, 'audit.jsonl');
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  }

  #configure(
    nodes: readonly TortureNode[],
    { otherServer, requestTimeoutMs = REQUEST_TIMEOUT_MS }: ServiceOptions,
  ): void {
    const settings = {
      server: { host: '127.0.0.1', port: this.port },
      log: { level: 'warn' },
      limits: { request_timeout_ms: requestTimeoutMs, requests_per_minute: 1_000_000 },
      node_defaults: { connect_timeout_ms: 700, list_timeout_ms: 700, kill_timeout_ms: 400 },
      identity: identityOf(PROJECT, { torture: TOKEN }),
      ...(this.#isAudited && { audit: { file: 'audit.jsonl' } }),
    };
    const entries = nodes.map(({ kind, proxy }, index) => {
      // The spare port of each node belongs to another server, so the service must never use it.
      const spare = nodes[index + 1] ?? otherServer ?? nodes[index - 1];
      return {
        ...{ node_id: NODES[kind], instance_id: INSTANCE, project_id: PROJECT },
        // Without TLS, so that the proxy can place faults at statements.
        ...{ host: '127.0.0.1', port: proxy.port, ...CONTROL, tls: 'disabled' },
        ...(spare && { admin_port: spare.port }),
      };
    });
    configure(this, settings, entries);
  }
}
