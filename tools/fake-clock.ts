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

/** Where Debian and others have the library; the loader fills in $LIB. */
const LIBRARY = '/usr/$LIB/faketime/libfaketime.so.1';
/** The folder of shared memory and semaphores: the library has one of each for a process, named after its id. */
const SHARED = '/dev/shm';

/** The wall clock of programs that run with this environment, by Debian's faketime; their monotonic clock is left alone. */
export interface FakeClock {
  readonly environment: Readonly<Record<string, string>>;
  /** Steps the clock to so many seconds ahead of the right time, or behind it where they are negative. */
  step(seconds: number): void;
  remove(): void;
}

/** Says in a sentence why clocks cannot be stepped here, if so. Where there is no faketime, root gets Debian's installed. */
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

/** Makes a clock that is right until it is stepped. */
export function makeFakeClock(): FakeClock {
  const folder = mkdtempSync(join(tmpdir(), 'session-control-clock-'));
  // Servers do not run as root.
  chmodSync(folder, 0o755);
  const file = join(folder, 'offset');
  const step = (seconds: number): void => {
    writeFileSync(`${file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    renameSync(`${file}.new`, file);
  };
  step(0);
  return {
    environment: {
      // Without the program faketime, which would stay between us and the program, and get its signals.
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

/** Removes what killed programs left behind: a later program with the id of one of them would fail. */
function removeOrphans(): void {
  for (const name of readdirSync(SHARED)) {
    const [, id] = /^(?:sem\.faketime_sem|faketime_shm)_(\d+)$/.exec(name) ?? [];
    if (id !== undefined && !existsSync(`/proc/${id}`)) rmSync(join(SHARED, name), { force: true });
  }
}
