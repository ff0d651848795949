import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { complaint, executables, run } from './server-binaries.ts';

// Unpacked, not installed: the packages bring servers that would be started.
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
 * Returns the folder with the files of these packages of Debian, which are kept under the temporary directory.
 * Rejects with a sentence that says why they cannot be fetched.
 */
export async function unpackPackages(name: string, packages: readonly string[]): Promise<string> {
  if (executables('apt-get').length === 0) throw new Error(`There is neither ${name} nor apt.`);
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
