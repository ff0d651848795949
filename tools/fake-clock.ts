import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whyNoProgram } from './program.ts';
import { complaint, run } from './server-binaries.ts';

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
  return await run('faketime', ['-f', '+0', 'true']).then(
    () => undefined,
    (error: unknown) => `faketime does not work here: ${complaint(error)}`,
  );
}

/** Makes a clock that is right until it is stepped. */
export async function makeFakeClock(): Promise<FakeClock> {
  const folder = mkdtempSync(join(tmpdir(), 'session-control-clock-'));
  // Servers do not run as root.
  chmodSync(folder, 0o755);
  const file = join(folder, 'offset');
  // Not faketime itself: it would stay between us and the program, and get its signals.
  const { stdout } = await run('faketime', ['-f', '+0', 'env']);
  const [, library = ''] = /^LD_PRELOAD=(.*)$/m.exec(stdout) ?? [];
  const step = (seconds: number): void => {
    writeFileSync(`${file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    renameSync(`${file}.new`, file);
  };
  step(0);
  return {
    environment: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    step,
    remove: () => {
      rmSync(folder, { recursive: true });
    },
  };
}
