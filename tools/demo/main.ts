import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Cleanup } from './cleanup.ts';
import { demonstrate } from './course.ts';
import { Screen } from './screen.ts';
import { complaint } from '../server-binaries.ts';

const USAGE = `usage: npm run demo [-- --serve]

Ends sessions on a real node through the API, and proves it. The node is a throw-away one, from this
machine's MariaDB or MySQL or from Docker, or the one named by MYSQL_TEST_HOST, MYSQL_TEST_PORT,
MYSQL_TEST_USER and MYSQL_TEST_PASSWORD, on which everything that was made is removed again.

  --serve  then stays up with fresh sessions, for you to try, until Ctrl-C
  --help   shows this text
`;

/** What sysexits.h calls EX_USAGE. */
const EXIT_USAGE = 64;
/** How long what is going on may take to end when it is interrupted. */
const SETTLE_MS = 5_000;

/** A signal that ended the demonstration. */
class Interruption extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`Interrupted by ${signal}`);
    this.signal = signal;
  }

  /** That of shells. */
  get exitCode(): number {
    return 128 + constants.signals[this.signal];
  }
}

process.exit(await main(process.argv.slice(2)));

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (typeof options === 'string') {
    process.stderr.write(`${options}\n\n${USAGE}`);
    return EXIT_USAGE;
  }
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  return await run(options.serve);
}

/** The options, or what is wrong with them. */
function readOptions(
  args: readonly string[],
): { readonly help: boolean; readonly serve: boolean } | string {
  const flag = { type: 'boolean', default: false } as const;
  try {
    return parseArgs({ args: [...args], options: { help: flag, serve: flag } }).values;
  } catch (error) {
    // What follows the first sentence tells how to pass such an argument all the same.
    return complaint(error).replace(/\. .*/s, '');
  }
}

async function run(serve: boolean): Promise<number> {
  const interruption = new AbortController();
  const screen = new Screen(process.stdout, process.env, interruption.signal);
  const lastScreen = new Screen(process.stdout, process.env);
  const cleanup = new Cleanup();
  let isServing = false;
  const interrupted = new Promise<void>((resolve, reject) => {
    listen((reason) => {
      interruption.abort(reason);
      const isWanted = reason instanceof Interruption && reason.signal === 'SIGINT' && isServing;
      if (isWanted) resolve();
      else reject(reason);
    });
  });

  const course = demonstrate({
    environment: process.env,
    screen,
    cleanup,
    serve: serve ? { until: interruption.signal, begins: () => (isServing = true) } : undefined,
  });
  let exitCode = 0;
  try {
    await Promise.race([course, interrupted]);
  } catch (error) {
    exitCode = tell(error);
    // The course may not know yet that it is over.
    interruption.abort(error);
  }
  await Promise.race([course.catch(() => undefined), sleep(SETTLE_MS)]);
  lastScreen.heading('Cleaning up');
  const isClean = await cleanup.run(lastScreen);
  if (!isClean && exitCode === 0) exitCode = 1;
  if (exitCode === 0) lastScreen.heading(`Done: all ${screen.checks} checks held.`);
  return exitCode;
}

/** Calls `end` when a signal comes, when nobody reads on (`npm run demo | head`), and for an error that nobody caught. */
function listen(end: (reason: Error) => void): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      end(new Interruption(signal));
    });
  }
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', () => {
      end(new Interruption('SIGPIPE'));
    });
  }
  process.on('uncaughtException', end);
}

/** Says why the demonstration ended early; returns the exit code. */
function tell(error: unknown): number {
  const screen = new Screen(process.stderr, process.env);
  if (error instanceof Interruption) {
    screen.heading(error.message);
    return error.exitCode;
  }
  screen.failure(complaint(error));
  return 1;
}
