import { canInstall, installPackages } from './debian-packages.ts';
import { executables } from './server-binaries.ts';

/** Says in a sentence why there is no such program here, if so. Where there is none, root gets Debian's package of that name installed. */
export async function whyNoProgram(name: string): Promise<string | undefined> {
  if (executables(name).length > 0) return undefined;
  if (!canInstall()) return `${name} is not installed on this machine.`;
  const trouble = await installPackages(name);
  return trouble === undefined ? undefined : `${name} cannot be installed: ${trouble}`;
}
