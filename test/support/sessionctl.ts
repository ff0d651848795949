import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { Terminal } from '../../tools/terminal.ts';
import { PACKAGE } from './built-package.ts';

/** The exit code of a command line and the text that it wrote. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly messages: string;
}

/** The built package in a new home folder, with `sessionctl` on the PATH as npm installs it. */
export class Sessionctl {
  readonly folder = mkdtempSync(join(tmpdir(), 'sessionctl-'));
  readonly environment: Record<string, string>;
  readonly #terminals: Terminal[] = [];

  constructor() {
    const bin = join(this.folder, 'bin');
    mkdirSync(bin);
    symlinkSync(join(PACKAGE, 'dist/cli/main.js'), join(bin, 'sessionctl'));
    this.environment = {
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      HOME: this.folder,
      TERM: 'xterm-256color',
      LANG: 'C.UTF-8',
    };
  }

  /** Runs a shell line without a terminal. */
  run(line: string, environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
    // `detached` starts a new session, which has no /dev/tty.
    const child = spawn('bash', ['-c', line], {
      cwd: this.folder,
      env: { ...this.environment, ...environment },
      detached: true,
    });
    child.stdin.end();
    return new Promise((done) => {
      let [output, messages] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (messages += text));
      child.on('close', (code) => {
        done({ code, output, messages });
      });
    });
  }

  /** Closes all terminals, which ends their programs. */
  closeTerminals(): void {
    for (const terminal of this.#terminals.splice(0)) terminal.close();
  }

  /** Runs a shell line on a terminal with this number of columns and rows. */
  open(
    line: string,
    environment: Readonly<Record<string, string>> = {},
    columns = 120,
    rows = 24,
  ): Terminal {
    const terminal = new Terminal(line, { ...this.environment, ...environment }, columns, rows);
    this.#terminals.push(terminal);
    return terminal;
  }

  /** Compiles a program against the package, as users do. Returns the command that runs it. Throws if its types are wrong. */
  install(program: string): string {
    const home = join(this.folder, 'consumer');
    mkdirSync(join(home, 'node_modules/@types'), { recursive: true });
    symlinkSync(PACKAGE, join(home, 'node_modules/session-control'));
    symlinkSync(resolve('node_modules/@types/node'), join(home, 'node_modules/@types/node'));
    writeFileSync(join(home, 'package.json'), '{"type":"module"}');
    copyFileSync(program, join(home, basename(program)));
    const options = [
      '--strict',
      '--skipLibCheck',
      '--target',
      'es2023',
      '--module',
      'node20',
      '--types',
      'node',
    ];
    compile([...options, basename(program)], home);
    return `node ${join(home, basename(program, '.ts'))}.js`;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

function compile(options: readonly string[], folder = '.'): void {
  const compiler = resolve('node_modules/typescript/bin/tsc');
  const built = spawnSync(process.execPath, [compiler, ...options], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (built.status !== 0) throw new Error(built.stdout + built.stderr);
}
