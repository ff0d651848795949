import { join } from 'node:path';
import { Build } from '../../tools/lib/build.ts';
import { buildConsole } from '../../tools/lib/console.ts';

/** The folder of the package that is built once for all test files. */
export const PACKAGE = process.env['TEST_PACKAGE'] ?? '';
/** The arguments of Node that start `session-control` as `npm start` does. */
export const PROGRAM = ['--enable-source-maps', join(PACKAGE, 'dist/main.js')];

/** Builds the package without a type check. Resolves to a function that removes it. Rejects with the compiler's output if that fails. */
export async function buildPackage(): Promise<() => Promise<void>> {
  const build = new Build();
  await build.make(undefined, ['--noCheck', '--declaration']);
  await buildConsole(join(build.dist, 'console'));
  process.env['TEST_PACKAGE'] = build.folder;
  return () => build.remove();
}
