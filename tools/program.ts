import { join } from 'node:path';
import { canInstall, installPackages } from './debian-packages.ts';
import { complaint, executables, run } from './server-binaries.ts';
import { unpackPackages } from './unpacked-packages.ts';

/** How a program is found and tried. */
export interface ProgramNeeds {
  /** Debian's package that holds the program; by default it has the name of the program. */
  readonly debianPackage?: string;
  /** Arguments for a trial run, which must succeed. */
  readonly trial?: readonly string[];
}

/** Resolves to a sentence if the program cannot be used here, else undefined. Installs a missing program if this process is root. */
export async function whyNoProgram(
  name: string,
  { debianPackage = name, trial }: ProgramNeeds = {},
): Promise<string | undefined> {
  if (executables(name).length === 0) {
    if (!canInstall()) return `${name} is not installed on this machine.`;
    const trouble = await installPackages(debianPackage);
    if (trouble !== undefined) return `${name} cannot be installed: ${trouble}`;
  }
  if (trial === undefined) return undefined;
  return await run(name, trial).then(
    () => undefined,
    (error: unknown) => `${name} does not work here: ${complaint(error)}`,
  );
}

/** Resolves to a sentence if strace does not work here, else undefined. */
export function whyNoStrace(): Promise<string | undefined> {
  return whyNoProgram('strace', { trial: ['-o', '/dev/null', 'true'] });
}

/** Resolves to the path of Chromium. Rejects with a sentence if Chromium is missing and cannot be installed. */
export async function obtainChromium(): Promise<string> {
  const why = await whyNoProgram('chromium');
  const [path] = executables('chromium');
  if (path === undefined) throw new Error(why ?? "Debian's package chromium holds no program.");
  return path;
}

/** Resolves to the path of promtool, on this machine or in Debian's package `prometheus`. Rejects with a sentence if there is none. */
export async function obtainPromtool(): Promise<string> {
  const [installed] = executables('promtool');
  if (installed !== undefined) return installed;
  return join(await unpackPackages('promtool', ['prometheus']), 'usr/bin/promtool');
}
