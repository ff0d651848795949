import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';

interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** The package as `npm pack` makes it and `npm install` unpacks it, with only its own dependencies. */
export class InstalledPackage {
  /** The folder of the installation. Its name begins with a dot, as in many tools' caches. */
  readonly folder = mkdtempSync(join(tmpdir(), '.session-control-package-'));
  /** The folder of the package. */
  readonly home = join(this.folder, 'node_modules/session-control');
  /** The paths of the packed files, relative to the package. */
  readonly files: readonly string[];
  /** The size of the tarball in bytes. */
  readonly bytes: number;
  readonly #children: ChildProcess[] = [];

  constructor() {
    const tree = join(this.folder, 'tree');
    const left = new Set(['.git', 'node_modules', 'dist', 'coverage']);
    cpSync('.', tree, { recursive: true, filter: (path) => !left.has(basename(path)) });
    symlinkSync(resolve('node_modules'), join(tree, 'node_modules'));
    const tarball = join(tree, succeed('npm', ['pack', '--silent'], tree).trim());
    this.bytes = statSync(tarball).size;
    this.files = succeed('tar', ['-tzf', tarball], tree)
      .trim()
      .split('\n')
      .map((path) => path.replace(/^package\//, ''))
      .sort();
    this.#install(tarball);
    rmSync(tree, { recursive: true });
  }

  /** Runs a command of the package to its end, in the folder of the installation. */
  run(command: string, words: readonly string[], environment: Record<string, string> = {}) {
    const { status, stdout, stderr } = spawnSync(this.#bin(command), words, {
      cwd: this.folder,
      env: { PATH: process.env['PATH'], ...environment },
      encoding: 'utf8',
    });
    return { code: status, output: stdout, messages: stderr };
  }

  /** Starts a command of the package. Calls `onText` with all text that it writes. `remove` ends the command. */
  start(
    command: string,
    words: readonly string[],
    environment: Record<string, string>,
    onText: (text: string) => void,
  ): void {
    const child = spawn(this.#bin(command), words, {
      cwd: this.folder,
      env: { PATH: process.env['PATH'], ...environment },
    });
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', onText);
    this.#children.push(child);
  }

  remove(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true });
  }

  #bin(command: string): string {
    return join(this.folder, 'node_modules/.bin', command);
  }

  /** Does the work of `npm install`, with links to the dependencies of this checkout. */
  #install(tarball: string): void {
    const modules = join(this.folder, 'node_modules');
    const { home } = this;
    mkdirSync(home, { recursive: true });
    succeed('tar', ['-xzf', tarball, '--strip-components=1', '-C', home], this.folder);
    const { bin, dependencies } = JSON.parse(
      readFileSync(join(home, 'package.json'), 'utf8'),
    ) as Manifest;
    for (const name of Object.keys(dependencies)) {
      mkdirSync(dirname(join(modules, name)), { recursive: true });
      symlinkSync(resolve('node_modules', name), join(modules, name));
    }
    mkdirSync(join(modules, '.bin'));
    for (const [command, file] of Object.entries(bin)) {
      chmodSync(join(home, file), 0o755);
      symlinkSync(join('../session-control', file), this.#bin(command));
    }
  }
}

function succeed(program: string, words: readonly string[], folder: string): string {
  const { status, stdout, stderr } = spawnSync(program, words, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program}: ${stdout}${stderr}`);
  return stdout;
}
