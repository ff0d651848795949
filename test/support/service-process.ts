import { LaunchedService, type LaunchOptions } from '../../tools/lib/launched-service.ts';
import { PROGRAM } from './built-package.ts';
import { nodeKey } from './ids.ts';
import type { Server } from './server.ts';
import { sha256 } from './service.ts';

/** The service as a process, started as `npm start` does unless another program is given. */
export class ServiceProcess extends LaunchedService {
  constructor(options: LaunchOptions = {}) {
    super({ program: PROGRAM, ...options });
  }

  /**
   * Writes both configuration files, with this server as the node, a token with all actions, and more settings if given.
   * The start then needs the variable NODE_PASSWORD.
   */
  configure(
    server: Server,
    token: string,
    more: Readonly<Partial<Record<'server' | 'service' | 'identity' | 'node', string>>> = {},
  ): void {
    const { projectId, instanceId, nodeId } = nodeKey;
    this.write(
      'service.yaml',
      `
server: { port: 0${more.server === undefined ? '' : `, ${more.server}`} }
registry: { file: nodes.yaml }
${more.service ?? ''}
identity:
  tokens:
    - { sha256: ${sha256(token)}, user: ops, project_id: ${projectId}, actions: ["*"] }
${more.identity ?? ''}`,
    );
    this.write(
      'nodes.yaml',
      `
nodes:
  - node_id: ${nodeId}
    instance_id: ${instanceId}
    project_id: ${projectId}
    host: ${server.host}
    port: ${server.port}
    user: ${server.control.user}
    password: "\${NODE_PASSWORD}"
    ${more.node ?? ''}
`,
    );
  }

  /** Stops reading its standard output, so that the pipe fills up. */
  stopReading(): void {
    this.child?.stdout?.pause();
  }

  /** Closes the reading end of the pipe of its standard output. */
  closeOutput(): void {
    this.child?.stdout?.destroy();
  }
}
