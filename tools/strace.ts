import { canInstall, installPackages } from './debian-packages.ts';
import { complaint, executables, run } from './server-binaries.ts';

/** Says in a sentence why system calls cannot be traced here, if so. Where there is no strace, root gets Debian's installed. */
export async function whyNoStrace(): Promise<string | undefined> {
  if (executables('strace').length === 0) {
    if (!canInstall()) return 'strace is not installed on this machine.';
    const trouble = await installPackages('strace');
    if (trouble !== undefined) return `strace cannot be installed: ${trouble}`;
  }
  return await run('strace', ['-o', '/dev/null', 'true']).then(
    () => undefined,
    (error: unknown) => `strace does not work here: ${complaint(error)}`,
  );
}
