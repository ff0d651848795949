import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { complaint, executables, run } from './server-binaries.ts';

const INSTALL = `
  apt-get -qq update
  apt-get -qq -y --no-install-recommends install "$@"`;

/** True if this process can install Debian packages: it runs as root, and apt exists. */
export function canInstall(): boolean {
  return process.getuid?.() === 0 && executables('apt-get').length > 0;
}

/** Installs Debian packages, after any other installation by these tools. Resolves to an error message if that fails. */
export async function installPackages(...packages: readonly string[]): Promise<string | undefined> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const lock = join(tmpdir(), 'session-control-packages.lock');
  return await run('flock', [lock, 'sh', '-ec', INSTALL, 'install', ...packages], { env }).then(
    () => undefined,
    complaint,
  );
}
