import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORY } from './launched-service.ts';

/** The folder from which the service in this repository serves the page. */
export const CONSOLE = join(REPOSITORY, 'dist/console');

/** Builds the page for people into a folder. Rejects with the output of Vite if that fails. */
export async function buildConsole(folder = CONSOLE): Promise<void> {
  const vite = join(REPOSITORY, 'node_modules/vite/bin/vite.js');
  const options = ['--config', 'src/console/vite.config.ts', '--outDir', folder];
  await promisify(execFile)(process.execPath, [vite, 'build', ...options, '--logLevel', 'warn'], {
    cwd: REPOSITORY,
  });
}

/** Builds the page where the service in this repository serves it, unless it is there. Rejects like `buildConsole`. */
export async function buildMissingConsole(): Promise<void> {
  if (!existsSync(join(CONSOLE, 'index.html'))) await buildConsole();
}
