import { canInstall, installPackages } from './debian-packages.ts';
import { executables } from './server-binaries.ts';

/** Where Chromium is. Where there is none, root gets Debian's installed; rejects with a sentence when there cannot be one. */
export async function obtainChromium(): Promise<string> {
  const [there] = executables('chromium');
  if (there !== undefined) return there;
  if (!canInstall()) throw new Error('chromium is not installed on this machine.');
  const trouble = await installPackages('chromium');
  const [installed] = executables('chromium');
  if (installed !== undefined) return installed;
  throw new Error(`chromium cannot be installed: ${trouble ?? 'no such package'}`);
}
