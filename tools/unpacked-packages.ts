import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { complaint, executables, run } from './server-binaries.ts';

// The packages are unpacked, because their installation would start servers.
const FETCH = `
  cd "$1"
  [ -d tree ] && exit
  shift
  apt-get -qq update || true
  apt-get -qq download "$@"
  mkdir -p tree.new
  for package in *.deb; do dpkg-deb --extract "$package" tree.new; done
  mv tree.new tree
  rm -- *.deb`;

/**
 * Fetches Debian packages into the temporary directory, if they are not there yet. Resolves to the folder of their files.
 * Rejects with a sentence if that fails.
 */
export async function unpackPackages(name: string, packages: readonly string[]): Promise<string> {
  if (executables('apt-get').length === 0)
    throw new Error(`${name} is not installed, and there is no apt to fetch it.`);
  const user = String(process.getuid?.());
  const directory = resolve(tmpdir(), `session-control-${name}-${user}`);
  mkdirSync(directory, { recursive: true });
  try {
    const fetching = ['-ec', FETCH, 'fetch', directory, ...packages];
    await run('flock', [join(directory, 'lock'), 'sh', ...fetching], { timeout: 120_000 });
  } catch (error) {
    throw new Error(`${name} cannot be fetched: ${complaint(error)}`, { cause: error });
  }
  return join(directory, 'tree');
}
