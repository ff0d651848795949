import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.ts';

/** The service as a process of its own, started the way `npm start` starts it, but from the sources. */
export class ServiceProcess {
  readonly folder = mkdtempSync(join(tmpdir(), 'session-control-process-'));
  /** Everything it wrote to both outputs. */
  output = '';
  exitCode: number | null | undefined;
  #child: ChildProcess | undefined;

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  start(environment: NodeJS.ProcessEnv = {}): void {
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
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
