import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Build } from '../lib/build.ts';
import { configure, identityOf } from '../lib/configuration.ts';
import { LaunchedService } from '../lib/launched-service.ts';
import { until } from '../lib/until.ts';
import { CONTROL, instanceId, nodeId, NODES_HOST, PROJECT, TOKENS } from './names.ts';

/** Lets SIGUSR2 run the garbage collector, because garbage would hide how much memory the service needs. */
const COLLECT_ON_SIGNAL = `process.on('SIGUSR2', () => globalThis.gc());`;

/** The compiled service for simulated nodes. */
export class Service extends LaunchedService {
  constructor(build: Build) {
    const hook = join(build.folder, 'collect.js');
    writeFileSync(hook, COLLECT_ON_SIGNAL);
    const program = ['--expose-gc', '--import', hook, ...build.program];
    super({ program, hasLogFile: true });
  }

  /** Writes both configuration files. A node is given by its number and its port. */
  configure(warm: 'all' | 'on_demand', nodes: readonly (readonly [number, number])[]): void {
    const settings = {
      server: { port: this.port, max_connections_per_address: 4096 },
      limits: { requests_per_minute: 1_000_000 },
      registry: { file: 'nodes.yaml', warm },
      identity: identityOf(PROJECT, Object.fromEntries(TOKENS.map((token) => [token, token]))),
      audit: { file: 'audit.jsonl' },
    };
    const entries = nodes.map(([node, port]) => ({
      ...{ node_id: nodeId(node), instance_id: instanceId(node), project_id: PROJECT },
      ...{ host: NODES_HOST, port, ...CONTROL, tls: 'disabled' },
    }));
    configure(this, settings, entries);
  }

  /** Sends SIGHUP, and resolves when the service has reloaded its files. */
  async reload(): Promise<void> {
    this.signal('SIGHUP');
    const hasReloaded = (): boolean => this.output.includes('"message":"reloaded"');
    await until('the service has reloaded', hasReloaded);
  }

  /** Makes the service collect its garbage. */
  collectGarbage(): void {
    this.signal('SIGUSR2');
  }

  /** Returns the number of open files of the service. */
  openFiles(): number {
    return readdirSync(`/proc/${this.processId}/fd`).length;
  }
}
