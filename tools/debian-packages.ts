import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { complaint, executables, run } from './server-binaries.ts';

const INSTALL = `
  apt-get -qq update
  apt-get -qq -y --no-install-recommends install "$@"`;

/** Whether Debian's packages can be installed here: we are root, and there is apt. */
export function canInstall(): boolean {
  return process.getuid?.() === 0 && executables('apt-get').length > 0;
}

/** Installs these packages; resolves to the complaint when that does not work. Waits for whoever else installs some. */
export async function installPackages(...packages: readonly string[]): Promise<string | undefined> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const lock = join(tmpdir(), 'session-control-packages.lock');
  return await run('flock', [lock, 'sh', '-ec', INSTALL, 'install', ...packages], { env }).then(
    () => undefined,
    complaint,
  );
}
