import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { DatabaseNode } from '../database-node.ts';
import type { Cleanup } from './cleanup.ts';
import type { Account } from './node.ts';
import { until } from '../lib/until.ts';
import { cleanUpOnExit } from '../lib/cleanup-on-exit.ts';

/** A line of the service's log. */
export interface LogEvent {
  readonly line: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const ARGUMENTS = ['--import', 'tsx', 'src/main.ts'];
const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 10_000;
const CLEAR_UP = '[ -z "$latest" ] || kill -9 "$latest"; rm -rf "$1"';

// The ids that the API's documentation uses for its examples.
const PROJECT = '619d3e78f61b4be68bc5aa0b59edcf7b';
const INSTANCE = 'a23fb62bd61e4e9e9636fd2225f395bein07';
const NODE = '18663926eacb443d98dc20f8620f28f2no07';

/** The real service for one node, as a process of its own with a folder of its own. */
export class Service {
  readonly token = randomBytes(24).toString('hex');
  readonly log: LogEvent[] = [];
  /** Called with each further line of the log. */
  onEvent: (event: LogEvent) => void = () => undefined;
  readonly #folder = mkdtempSync(resolve(tmpdir(), 'session-control-demo-'));
  readonly #configFile = join(this.#folder, 'service.yaml');
  readonly #cleanup = cleanUpOnExit(CLEAR_UP, this.#folder);
  readonly #node: DatabaseNode;
  readonly #control: Account;
  #child: ChildProcess | undefined;
  #complaints = '';

  constructor(node: DatabaseNode, control: Account, cleanup: Cleanup) {
    this.#node = node;
    this.#control = control;
    cleanup.add(`the service and its folder ${this.#folder}`, () => this.#stop());
  }

  /** What a shell would be told to start it. */
  get command(): string {
    return `CONFIG_FILE=${this.#configFile} NODE_PASSWORD=… node ${ARGUMENTS.join(' ')}`;
  }

  get origin(): string {
    const listening = this.log.find(({ message }) => message === 'listening');
    return `http://127.0.0.1:${String(listening?.fields['port'])}`;
  }

  /** The URL of the sessions of the node. */
  get url(): string {
    return `${this.origin}/v3/${PROJECT}/instances/${INSTANCE}/nodes/${NODE}/processes`;
  }

  /** Starts it; resolves when it listens. Rejects when it does not. */
  async start(): Promise<void> {
    this.#configure();
    const child = spawn(process.execPath, ARGUMENTS, {
      cwd: REPOSITORY,
      env: {
        ...process.env,
        CONFIG_FILE: this.#configFile,
        NODE_PASSWORD: this.#control.password,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A Ctrl-C is for us alone: the service is stopped in its turn.
      detached: true,
    });
    this.#child = child;
    this.#cleanup.set(String(child.pid ?? ''));
    child.once('exit', () => {
      this.#cleanup.set('');
    });
    child.on('error', ({ message }) => (this.#complaints += message));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#complaints += text));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event = eventOf(line);
      this.log.push(event);
      this.onEvent(event);
    });
    const listens = until(
      'the service listens',
      () => this.log.some(({ message }) => message === 'listening'),
      START_DEADLINE_MS,
    );
    await Promise.race([listens, this.whenEnded()]);
  }

  /** Rejects with its last words as soon as it has ended. To be asked while it runs. */
  async whenEnded(): Promise<never> {
    if (this.#child !== undefined) await once(this.#child, 'close');
    const { exitCode, signalCode } = this.#child ?? {};
    const words = this.#complaints.trim() || (this.log.at(-1)?.line ?? 'It said nothing.');
    throw new Error(`The service has ended (${String(signalCode ?? exitCode)}). ${words}`);
  }

  // There is no secret in either file.
  #configure(): void {
    const sha256 = createHash('sha256').update(this.token).digest('hex');
    const token = { sha256, user: 'demo', project_id: PROJECT, actions: ['gaussdbformysql:*'] };
    const service = {
      server: { host: '127.0.0.1', port: 0 },
      log: { format: 'json' },
      registry: { file: 'nodes.yaml' },
      identity: { tokens: [token] },
    };
    const node = {
      ...{ node_id: NODE, instance_id: INSTANCE, project_id: PROJECT },
      ...{ host: this.#node.host, port: this.#node.port },
      ...{ user: this.#control.user, password: '${NODE_PASSWORD}' },
    };
    writeFileSync(this.#configFile, stringify(service));
    writeFileSync(join(this.#folder, 'nodes.yaml'), stringify({ nodes: [node] }));
  }

  async #stop(): Promise<string> {
    const child = this.#child;
    if (child?.exitCode === null && child.signalCode === null) {
      const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
      child.kill('SIGTERM');
      await once(child, 'exit');
      clearTimeout(impatience);
    }
    await this.#cleanup.run();
    return 'The service has ended, and its folder is removed.';
  }
}

function eventOf(line: string): LogEvent {
  try {
    const fields = JSON.parse(line) as Record<string, unknown>;
    return { line, message: String(fields['message']), fields };
  } catch {
    return { line, message: '', fields: {} };
  }
}
