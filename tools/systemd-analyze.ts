import { canInstall, installPackages } from './debian-packages.ts';
import { complaint, executables, run } from './server-binaries.ts';

/**
 * Says in a sentence why units cannot be looked at here, if so. Where there is no systemd-analyze, root gets Debian's systemd
 * installed, which starts nothing.
 */
export async function whyNoSystemdAnalyze(): Promise<string | undefined> {
  if (executables('systemd-analyze').length === 0) {
    if (!canInstall()) return 'systemd-analyze is not installed on this machine.';
    const trouble = await installPackages('systemd');
    if (trouble !== undefined) return `systemd cannot be installed: ${trouble}`;
  }
  // Before version 250 it cannot do that without a running systemd.
  return await run('systemd-analyze', ['security', '--offline=true', '--version']).then(
    () => undefined,
    (error: unknown) => `systemd-analyze does not work here: ${complaint(error)}`,
  );
}
