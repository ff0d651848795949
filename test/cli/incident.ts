import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { LockStage } from '../support/lock-scenes.ts';
import { nodeKey } from '../support/ids.ts';
import { asRoot, createAccounts, servers, type Server } from '../support/server.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { sha256 } from '../support/service.ts';

/** The kinds of servers that can be started here. */
export const kinds = (['mariadb', 'mysql'] as const).filter((kind) =>
  servers.some(({ flavour, canHavePair }) => flavour === kind && canHavePair),
);

const TABLES = {
  mysql: ['data_lock_waits', 'data_locks', 'metadata_locks', 'threads', 'session_connect_attrs'],
  mariadb: ['metadata_locks', 'threads', 'session_connect_attrs'],
};
const OPTIONS = [
  '--performance-schema=ON',
  '--performance-schema-instrument=wait/lock/metadata/sql/mdl=ON',
  '--innodb-lock-wait-timeout=600',
];

/** A node of an incident, with a stage for its sessions. */
export interface IncidentNode {
  readonly name: string;
  readonly nodeId: string;
  readonly server: Server;
  readonly stage: LockStage;
}

/** A service with a node of each kind of server, whose control accounts can read all that the service shows. */
export class Incident {
  readonly nodes = new Map<string, IncidentNode>();
  environment: Record<string, string> = {};
  readonly #service = new ServiceProcess();
  readonly #servers: OwnServer[] = [];

  /** Starts the servers and the service. `options` are more options of the servers, `settings` more lines of service.yaml. */
  async start(options: readonly string[] = [], settings = ''): Promise<void> {
    const passwords: Record<string, string> = {};
    const entries: string[] = [];
    for (const kind of kinds) {
      const own = await startServer(kind, { arguments: [...OPTIONS, ...options] });
      this.#servers.push(own);
      const server = await createAccounts(own);
      const { user, password } = server.control;
      await asRoot(server, async (root) => {
        for (const table of TABLES[kind]) {
          await root.query(`GRANT SELECT ON performance_schema.${table} TO '${user}'@'%'`);
        }
      });
      const nodeId = nodeKey.nodeId.replace('1', kind === 'mysql' ? '1' : '2');
      const stage = new LockStage(server);
      await stage.prepare();
      this.nodes.set(kind, { name: `orders-${kind}`, nodeId, server, stage });
      passwords[`PASSWORD_${kind}`] = password;
      entries.push(`
  - node_id: ${nodeId}
    name: orders-${kind}
    instance_id: ${nodeKey.instanceId}
    project_id: ${nodeKey.projectId}
    host: ${server.host}
    port: ${server.port}
    user: ${user}
    password: "\${PASSWORD_${kind}}"`);
    }
    this.#service.write('nodes.yaml', `nodes:${entries.join('')}\n`);
    this.#service.write(
      'service.yaml',
      `
server: { port: 0 }
registry: { file: nodes.yaml }
limits: { requests_per_minute: 60000 }
${settings}
identity:
  tokens:
    - { sha256: ${sha256('token-of-ops')}, user: ops, project_id: ${nodeKey.projectId}, actions: ["*"] }`,
    );
    this.#service.start(passwords);
    // The name of a node is enough to find its instance.
    this.environment = {
      SESSIONCTL_ENDPOINT: await this.#service.url(),
      SESSIONCTL_PROJECT: nodeKey.projectId,
      SESSIONCTL_TOKEN: 'token-of-ops',
    };
  }

  /** Returns the node of a kind. */
  node(kind: string): IncidentNode {
    const node = this.nodes.get(kind);
    if (node === undefined) throw new Error(`There is no ${kind}.`);
    return node;
  }

  /** Ends all sessions of the stages. */
  async clear(): Promise<void> {
    for (const { stage } of this.nodes.values()) await stage.close();
  }

  async stop(): Promise<void> {
    await this.clear();
    this.#service.remove();
    for (const server of this.#servers) await server.stop();
  }
}
