import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whyNoProgram } from './program.ts';
import { complaint, run } from './server-binaries.ts';

/**
 * The path of the library on Debian and other systems. The loader replaces $LIB. This variant is for
 * programs with threads. With the other variant, about 1 % of the steps had no effect: two threads
 * read the file at the same time, and one kept the old offset beside the new text.
 */
const LIBRARY = '/usr/$LIB/faketime/libfaketimeMT.so.1';
/** The folder of shared memory and semaphores. The library makes one of each per process, with the process id in the name. */
const SHARED = '/dev/shm';

/** A wall clock for programs that run with this environment, made with faketime. Their monotonic clock does not change. */
export interface FakeClock {
  readonly environment: Readonly<Record<string, string>>;
  /** Sets the clock ahead of the right time by this number of seconds, or behind it if negative. */
  step(seconds: number): void;
  remove(): void;
}

/** Resolves to a sentence if faketime does not work here, else undefined. Installs faketime if it is missing and this process is root. */
export async function whyNoFakeClock(): Promise<string | undefined> {
  const missing = await whyNoProgram('faketime');
  if (missing !== undefined) return missing;
  const env = { ...process.env, LD_PRELOAD: LIBRARY, FAKETIME: '-9000d' };
  return await run('date', ['+%Y'], { env }).then(
    ({ stdout }) =>
      Number(stdout) < new Date().getFullYear() - 20 ? undefined : 'faketime does not work here.',
    (error: unknown) => `faketime does not work here: ${complaint(error)}`,
  );
}

/** Makes a clock that shows the right time until its first step. */
export function makeFakeClock(): FakeClock {
  const folder = mkdtempSync(join(tmpdir(), 'session-control-clock-'));
  // The servers do not run as root and must read the file.
  chmodSync(folder, 0o755);
  const file = join(folder, 'offset');
  const step = (seconds: number): void => {
    writeFileSync(`${file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    renameSync(`${file}.new`, file);
  };
  step(0);
  return {
    environment: {
      // LD_PRELOAD, because the program `faketime` would be the parent of the server and catch its signals.
      LD_PRELOAD: LIBRARY,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    step,
    remove: () => {
      rmSync(folder, { recursive: true });
      removeOrphans();
    },
  };
}

/** Removes the shared files of killed programs: a later program with the same process id would fail. */
function removeOrphans(): void {
  for (const name of readdirSync(SHARED)) {
    const [, id] = /^(?:sem\.faketime_sem|faketime_shm)_(\d+)$/.exec(name) ?? [];
    if (id !== undefined && !existsSync(`/proc/${id}`)) rmSync(join(SHARED, name), { force: true });
  }
}
