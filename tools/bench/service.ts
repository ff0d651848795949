import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { canConnect } from '../can-connect.ts';
import { instanceId, nodeId, PROJECT, sha256 } from '../fleet/names.ts';
import { cleanUpOnExit } from '../lib/cleanup-on-exit.ts';
import type { Build } from './build.ts';
import { TOKEN } from './client.ts';
import { CONTROL } from './node.ts';

export interface ServiceSettings {
  /** The port of each node; its number is its place. */
  readonly nodePorts: readonly number[];
  readonly isAudited?: boolean;
  /** Options of Node. */
  readonly nodeOptions?: readonly string[];
}

const START_DEADLINE_MS = 20_000;
/** How exactly a start is measured. */
const LOOK_MS = 3;

/** The compiled service as a process of its own, started as `npm start` does it. */
export class Service {
  readonly folder: string;
  // Below 32768, where the system begins to take ports for outgoing connections.
  readonly port = randomInt(10_000, 32_000);
  readonly #build: Build;
  readonly #settings: ServiceSettings;
  readonly #cleanup = cleanUpOnExit('[ -z "$latest" ] || kill -9 "$latest"');
  #child: ChildProcess | undefined;

  constructor(build: Build, settings: ServiceSettings) {
    this.folder = mkdtempSync(join(build.folder, 'service-'));
    this.#build = build;
    this.#settings = settings;
    this.#configure();
  }

  /** Resolves when it listens; rejects with what it wrote when it does not. */
  async start(): Promise<void> {
    const log = openSync(this.#logFile, 'w');
    const main = join(this.#build.dist, 'main.js');
    const options = [...(this.#settings.nodeOptions ?? []), '--enable-source-maps'];
    const child = spawn(process.execPath, [...options, main], {
      cwd: this.folder,
      env: { PATH: process.env['PATH'], CONFIG_FILE: join(this.folder, 'service.yaml') },
      stdio: ['ignore', log, log],
      // A Ctrl-C is for us alone.
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    this.#cleanup.set(String(child.pid ?? ''));
    const end = performance.now() + START_DEADLINE_MS;
    while (!(await canConnect(this.port))) {
      if (child.exitCode !== null || performance.now() > end) {
        const words = readFileSync(this.#logFile, 'utf8').slice(-2000);
        throw new Error(`The service does not listen: ${words}`);
      }
      await sleep(LOOK_MS);
    }
  }

  /** What it has of the machine's memory, in MB. */
  residentMb(): number {
    const status = readFileSync(`/proc/${String(this.#child?.pid)}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? NaN) / 1024;
  }

  /** Ends it gracefully, so that it writes what it is to write at its end, or with -9. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill(signal);
      await ended;
    }
    this.#cleanup.set('');
  }

  /** Ends it for good. */
  async remove(): Promise<void> {
    await this.stop();
    await this.#cleanup.run();
  }

  get #logFile(): string {
    return join(this.folder, 'log');
  }

  #configure(): void {
    const token = { sha256: sha256(TOKEN), user: 'bench', project_id: PROJECT, actions: ['*'] };
    const config = {
      server: { port: this.port },
      limits: { requests_per_minute: 1_000_000 },
      registry: { file: 'nodes.yaml', warm: 'all' },
      identity: { tokens: [token] },
      ...(this.#settings.isAudited === true && { audit: { file: 'audit.jsonl' } }),
    };
    const nodes = this.#settings.nodePorts.map((port, node) => ({
      ...{ node_id: nodeId(node), instance_id: instanceId(node), project_id: PROJECT },
      ...{ host: '127.0.0.1', port, ...CONTROL, tls: 'disabled' },
    }));
    writeFileSync(join(this.folder, 'service.yaml'), stringify(config));
    writeFileSync(join(this.folder, 'nodes.yaml'), stringify({ nodes }));
  }
}
