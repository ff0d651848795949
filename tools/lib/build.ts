import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cleanUpOnExit } from './cleanup-on-exit.ts';
import { REPOSITORY } from './launched-service.ts';

/** The files and folders that the program reads besides `dist`. */
const BESIDE_DIST = ['node_modules', 'package.json', 'config', 'deploy', 'docs'];

/** The package as `npm run build` makes it, in a folder that is removed when this process ends, or earlier. */
export class Build {
  readonly folder = mkdtempSync(join(tmpdir(), 'session-control-build-'));
  // A running compiler would make the folder again, so the cleanup kills it first.
  readonly #cleanup = cleanUpOnExit(
    '[ -z "$latest" ] || kill -9 "$latest"; rm -rf "$1"',
    this.folder,
  );

  get dist(): string {
    return join(this.folder, 'dist');
  }

  /** The arguments of Node that run the service as `npm start` does. */
  get program(): readonly string[] {
    return ['--enable-source-maps', join(this.dist, 'main.js')];
  }

  /** Compiles the sources of a checkout, with more compiler options if given. Rejects with the compiler's output if that fails. */
  async make(source = REPOSITORY, options: readonly string[] = []): Promise<void> {
    for (const name of BESIDE_DIST) symlinkSync(join(source, name), join(this.folder, name));
    const tsc = join(source, 'node_modules', 'typescript', 'bin', 'tsc');
    const args = [tsc, '-p', 'tsconfig.build.json', '--outDir', this.dist, ...options];
    const compiling = promisify(execFile)(process.execPath, args, { cwd: source });
    this.#cleanup.set(String(compiling.child.pid ?? ''));
    try {
      await compiling;
    } catch (cause) {
      const { stdout } = cause as { stdout: string };
      throw new Error(`The service does not compile: ${stdout}`, { cause });
    } finally {
      this.#cleanup.set('');
    }
    for (const program of ['main.js', 'cli/main.js']) chmodSync(join(this.dist, program), 0o755);
  }

  async remove(): Promise<void> {
    await this.#cleanup.run();
  }
}
