import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cleanUpOnExit } from '../lib/cleanup-on-exit.ts';

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/** What the program reads of the package besides its own files. */
const BESIDE_DIST = ['node_modules', 'package.json', 'config', 'deploy', 'docs'];

/** The package as `npm run build` makes it, in a folder of its own that goes with this process at the latest. */
export class Build {
  readonly folder = mkdtempSync(join(tmpdir(), 'session-control-bench-'));
  readonly #cleanup = cleanUpOnExit('rm -rf "$1"', this.folder);

  get dist(): string {
    return join(this.folder, 'dist');
  }

  /** Compiles it with further options of the compiler. Rejects with the compiler's words if that fails. */
  async make(...options: readonly string[]): Promise<void> {
    for (const name of BESIDE_DIST) symlinkSync(join(REPOSITORY, name), join(this.folder, name));
    const tsc = join(REPOSITORY, 'node_modules', 'typescript', 'bin', 'tsc');
    const args = [tsc, '-p', 'tsconfig.build.json', '--outDir', this.dist, ...options];
    await promisify(execFile)(process.execPath, args, { cwd: REPOSITORY }).catch(
      (cause: unknown) => {
        const { stdout } = cause as { stdout: string };
        throw new Error(`The service does not compile: ${stdout}`, { cause });
      },
    );
    for (const program of ['main.js', 'cli/main.js']) chmodSync(join(this.dist, program), 0o755);
  }

  async remove(): Promise<void> {
    await this.#cleanup.run();
  }
}
