import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { complaint, executables, run } from './server-binaries.ts';

// Unpacked, not installed: Debian's package brings a server that would be started.
const FETCH = `
  cd "$1"
  [ -x tree/usr/bin/promtool ] && exit
  apt-get -qq update || true
  apt-get -qq download prometheus
  dpkg-deb --extract prometheus_*.deb tree.new
  mv tree.new tree
  rm prometheus_*.deb`;

/** The path of promtool, of this machine or of Debian's package `prometheus`; rejects with a sentence that says why there is none. */
export async function obtainPromtool(): Promise<string> {
  const [installed] = executables('promtool');
  if (installed !== undefined) return installed;
  if (executables('apt-get').length === 0) throw new Error('There is neither promtool nor apt.');
  const directory = resolve(tmpdir(), `session-control-promtool-${String(process.getuid?.())}`);
  mkdirSync(directory, { recursive: true });
  try {
    const fetching = ['-ec', FETCH, 'fetch', directory];
    await run('flock', [join(directory, 'lock'), 'sh', ...fetching], { timeout: 120_000 });
  } catch (error) {
    throw new Error(`promtool cannot be fetched: ${complaint(error)}`, { cause: error });
  }
  return join(directory, 'tree', 'usr', 'bin', 'promtool');
}
