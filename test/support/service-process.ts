import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROGRAM } from './built-package.ts';
import { nodeKey } from './ids.ts';
import type { Server } from './server.ts';
import { sha256 } from './service.ts';
import { until } from './until.ts';

/** The service as a process of its own, started the way `npm start` starts it unless another program is given. */
export class ServiceProcess {
  readonly folder = mkdtempSync(join(tmpdir(), 'session-control-process-'));
  /** Everything it wrote to both outputs since it was last started. */
  output = '';
  exitCode: number | null | undefined;
  #child: ChildProcess | undefined;
  readonly #program: readonly string[];

  constructor(program: readonly string[] = PROGRAM) {
    this.#program = program;
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  /** Writes both files: this server as the node, one token that may do everything, and what is given besides. Wants NODE_PASSWORD. */
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

  /** Starts it; `under` is a command that runs it. */
  start(environment: NodeJS.ProcessEnv = {}, under: readonly string[] = []): void {
    this.output = '';
    this.exitCode = undefined;
    const command = [...under, process.execPath, ...this.#program];
    const child = spawn(command[0] ?? '', command.slice(1), {
      env: {
        PATH: process.env['PATH'],
        CONFIG_FILE: join(this.folder, 'service.yaml'),
        ...environment,
      },
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    child.on('close', (code) => (this.exitCode = code));
    this.#child = child;
  }

  /** Reads what it writes no more; nobody else does. */
  stopReading(): void {
    this.#child?.stdout?.pause();
  }

  /** Closes the end of the pipe from which its standard output was read. */
  closeOutput(): void {
    this.#child?.stdout?.destroy();
  }

  get processId(): number {
    return this.#child?.pid ?? 0;
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** The events of its log that have this message. */
  events(message: string): Record<string, unknown>[] {
    return this.output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((event) => event['message'] === message);
  }

  /** The base of its URLs, once it listens. */
  async url(): Promise<string> {
    await until(
      'it listens',
      () => this.events('listening').length > 0 || this.exitCode !== undefined,
    );
    return `http://127.0.0.1:${String(this.events('listening')[0]?.['port'])}`;
  }

  async ended(): Promise<number | null | undefined> {
    await until('it has ended', () => this.exitCode !== undefined);
    return this.exitCode;
  }

  remove(): void {
    this.#child?.kill('SIGKILL');
    rmSync(this.folder, { recursive: true });
  }
}
