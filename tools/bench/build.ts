import { execFile } from 'node:child_process';
import { mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeWill } from '../last-will.ts';

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/** The service as `npm run build` makes it, in a folder of its own that goes with this process at the latest. */
export class Build {
  readonly folder = mkdtempSync(join(tmpdir(), 'session-control-bench-'));
  readonly #will = makeWill('rm -rf "$1"', this.folder);

  get dist(): string {
    return join(this.folder, 'dist');
  }

  /** Compiles it; rejects with the compiler's words when that does not work. */
  async make(): Promise<void> {
    const modules = join(REPOSITORY, 'node_modules');
    symlinkSync(modules, join(this.folder, 'node_modules'));
    writeFileSync(join(this.folder, 'package.json'), '{ "type": "module" }');
    const tsc = join(modules, 'typescript', 'bin', 'tsc');
    const args = [tsc, '-p', 'tsconfig.build.json', '--outDir', this.dist];
    await promisify(execFile)(process.execPath, args, { cwd: REPOSITORY }).catch(
      (cause: unknown) => {
        const { stdout } = cause as { stdout: string };
        throw new Error(`The service does not compile: ${stdout}`, { cause });
      },
    );
  }

  async remove(): Promise<void> {
    await this.#will.execute();
  }
}
