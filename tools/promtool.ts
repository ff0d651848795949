import { join } from 'node:path';
import { executables } from './server-binaries.ts';
import { unpackPackages } from './unpacked-packages.ts';

/** The path of promtool, of this machine or of Debian's package `prometheus`; rejects with a sentence that says why there is none. */
export async function obtainPromtool(): Promise<string> {
  const [installed] = executables('promtool');
  if (installed !== undefined) return installed;
  return join(await unpackPackages('promtool', ['prometheus']), 'usr/bin/promtool');
}
