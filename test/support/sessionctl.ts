import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { Terminal } from '../../tools/terminal.ts';

/** How a command line ended. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly messages: string;
}

/** The package as it is built, with `sessionctl` on the PATH as npm would put it there, and a home of its own. */
export class Sessionctl {
  readonly folder = mkdtempSync(join(tmpdir(), 'sessionctl-'));
  readonly environment: Record<string, string>;
  readonly #terminals: Terminal[] = [];

  constructor() {
    const bin = join(this.folder, 'bin');
    mkdirSync(bin);
    copyFileSync('package.json', join(this.folder, 'package.json'));
    symlinkSync(resolve('node_modules'), join(this.folder, 'node_modules'));
    const out = join(this.folder, 'dist');
    compile(['-p', this.#buildSettings(out)]);
    const entry = join(out, 'cli/main.js');
    chmodSync(entry, 0o755);
    symlinkSync(entry, join(bin, 'sessionctl'));
    this.environment = {
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      HOME: this.folder,
      TERM: 'xterm-256color',
      LANG: 'C.UTF-8',
    };
  }

  /** Runs a line of the shell without a terminal. */
  run(line: string, environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
    // A session of its own has no /dev/tty.
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

  /** As for the build, but without the service, and the types are checked elsewhere: it is done again and again. */
  #buildSettings(out: string): string {
    const path = join(this.folder, 'build.json');
    const settings = {
      extends: resolve('tsconfig.build.json'),
      compilerOptions: { noCheck: true, declaration: true, rootDir: resolve('src'), outDir: out },
      include: [resolve('src/cli'), resolve('src/client')],
    };
    writeFileSync(path, JSON.stringify(settings));
    return path;
  }

  /** Ends what still runs on a terminal. */
  closeTerminals(): void {
    for (const terminal of this.#terminals.splice(0)) terminal.close();
  }

  /** Runs a line of the shell on a terminal of this size. */
  open(line: string, environment: Readonly<Record<string, string>> = {}, columns = 120): Terminal {
    const terminal = new Terminal(line, { ...this.environment, ...environment }, columns);
    this.#terminals.push(terminal);
    return terminal;
  }

  /** Compiles a program against the package as its users do; the result is the command that runs it. Throws when its types are wrong. */
  install(program: string): string {
    const home = join(this.folder, 'consumer');
    mkdirSync(join(home, 'node_modules/@types'), { recursive: true });
    symlinkSync(this.folder, join(home, 'node_modules/session-control'));
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
