import { canInstall, installPackages } from './debian-packages.ts';
import { complaint, executables, run } from './server-binaries.ts';

export interface ProgramNeeds {
  /** Debian's package that has the program: of the same name unless given. */
  readonly debianPackage?: string;
  /** Arguments with which the program must succeed. */
  readonly trial?: readonly string[];
}

/** Returns a sentence if the program cannot be used here, else undefined. Installs Debian's package if it is missing for root. */
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

/** Returns a sentence if system calls cannot be traced here, else undefined. */
export function whyNoStrace(): Promise<string | undefined> {
  return whyNoProgram('strace', { trial: ['-o', '/dev/null', 'true'] });
}

/** Returns the path of Chromium. Rejects with a sentence if there is none and it cannot be installed. */
export async function obtainChromium(): Promise<string> {
  const why = await whyNoProgram('chromium');
  const [path] = executables('chromium');
  if (path === undefined) throw new Error(why ?? "Debian's package chromium holds no program.");
  return path;
}
