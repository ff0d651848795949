import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { NodeAddress } from '../../src/client/index.ts';
import type { DatabaseNode } from '../database-node.ts';
import { configure, identityOf } from '../lib/configuration.ts';
import { FROM_SOURCES, LaunchedService } from '../lib/launched-service.ts';
import type { Cleanup } from './cleanup.ts';
import type { Account } from './node.ts';

/** A log line of the service. */
export interface LogEvent {
  readonly line: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The ids of the examples in the API documentation. */
export const NODE: NodeAddress = {
  projectId: '619d3e78f61b4be68bc5aa0b59edcf7b',
  instanceId: 'a23fb62bd61e4e9e9636fd2225f395bein07',
  nodeId: '18663926eacb443d98dc20f8620f28f2no07',
};

/** The service, configured for one node. */
export class Service extends LaunchedService {
  readonly token = randomBytes(24).toString('hex');
  /** The base of its URLs; empty before `launch`. */
  origin = '';
  readonly log: LogEvent[] = [];
  /** Called with each new log line. */
  onEvent: (event: LogEvent) => void = () => undefined;
  readonly #password: string;

  constructor(node: DatabaseNode, control: Account, cleanup: Cleanup) {
    super();
    this.#password = control.password;
    this.#configure(node, control);
    cleanup.add(`the service and its folder ${this.folder}`, async () => {
      try {
        await this.stop('SIGTERM');
      } finally {
        this.remove();
      }
      return 'The service has ended, and its folder is removed.';
    });
  }

  /** The shell command that starts this service. */
  get command(): string {
    return `CONFIG_FILE=${this.folder}/service.yaml NODE_PASSWORD=… node ${FROM_SOURCES.join(' ')}`;
  }

  override async launch(): Promise<void> {
    this.start({ NODE_PASSWORD: this.#password });
    if (this.child?.stdout) {
      createInterface({ input: this.child.stdout }).on('line', (line) => {
        const event = eventOf(line);
        this.log.push(event);
        this.onEvent(event);
      });
    }
    this.origin = await this.url();
  }

  /** Rejects with the last log line when the service has ended. */
  async whenEnded(): Promise<never> {
    if (this.child !== undefined && this.isRunning) await once(this.child, 'close');
    throw new Error(`The service has ended: ${this.output.trim().split('\n').at(-1) ?? ''}`);
  }

  // The files hold no secret.
  #configure({ host, port }: DatabaseNode, { user }: Account): void {
    const settings = {
      server: { host: '127.0.0.1', port: 0 },
      log: { format: 'json' },
      audit: { file: 'audit.jsonl' },
      identity: identityOf(NODE.projectId, { demo: this.token }),
    };
    const node = {
      ...{ node_id: NODE.nodeId, instance_id: NODE.instanceId, project_id: NODE.projectId },
      ...{ name: 'demo', host, port, user, password: '${NODE_PASSWORD}' },
    };
    configure(this, settings, [node]);
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
