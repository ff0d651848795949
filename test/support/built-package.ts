import { join } from 'node:path';
import { Build } from '../../tools/lib/build.ts';

/** The folder of the package that is built once for all test files. */
export const PACKAGE = process.env['TEST_PACKAGE'] ?? '';
/** The words behind `node` that start `session-control` as `npm start` does. */
export const PROGRAM = ['--enable-source-maps', join(PACKAGE, 'dist/main.js')];

/** Builds the package without a check of its types, which `tsc` does. Returns what removes it. Rejects if it cannot be built. */
export async function buildPackage(): Promise<() => Promise<void>> {
  const build = new Build();
  await build.make(undefined, ['--noCheck', '--declaration']);
  process.env['TEST_PACKAGE'] = build.folder;
  return () => build.remove();
}
