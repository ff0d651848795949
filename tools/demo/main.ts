import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Cleanup } from './cleanup.ts';
import { demonstrate } from './course.ts';
import { Screen } from './screen.ts';
import { complaint } from '../server-binaries.ts';

const USAGE = `usage: npm run demo [-- --serve]

Ends sessions on a database server through the API, and checks the effect on the server.

The server is a throw-away one, from this machine's MariaDB or MySQL or from Docker. To use another
server, set MYSQL_TEST_HOST, MYSQL_TEST_PORT, MYSQL_TEST_USER and MYSQL_TEST_PASSWORD: the
demonstration removes everything that it makes there.

  --serve  keeps the service up with new sessions for you to try, until Ctrl-C
  --help   shows this text
`;

/** EX_USAGE of sysexits.h. */
const EXIT_USAGE = 64;
/** After an interruption, the running step has this time to end. */
const SETTLE_MS = 5_000;

/** A signal that ended the demonstration. */
class Interruption extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`Interrupted by ${signal}`);
    this.signal = signal;
  }

  /** The exit code that a shell gives to a process that this signal ended. */
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

/** Returns the options, or a sentence if they are wrong. */
function readOptions(
  args: readonly string[],
): { readonly help: boolean; readonly serve: boolean } | string {
  const flag = { type: 'boolean', default: false } as const;
  try {
    return parseArgs({ args: [...args], options: { help: flag, serve: flag } }).values;
  } catch (error) {
    // Only the first sentence: the next ones explain how to pass such an argument as a positional one.
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
    serve: serve ? { until: interruption.signal, onBegin: () => (isServing = true) } : undefined,
  });
  let exitCode = 0;
  try {
    await Promise.race([course, interrupted]);
  } catch (error) {
    exitCode = report(error);
    // The demonstration may still run.
    interruption.abort(error);
  }
  await Promise.race([course.catch(() => undefined), sleep(SETTLE_MS)]);
  lastScreen.heading('Cleaning up');
  const isClean = await cleanup.run(lastScreen);
  if (!isClean && exitCode === 0) exitCode = 1;
  if (exitCode === 0) lastScreen.heading(`Done: all ${screen.checks} checks held.`);
  return exitCode;
}

/** Calls `end` for a signal, for a closed output (`npm run demo | head`), and for an uncaught error. */
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

/** Shows why the demonstration ended early. Returns the exit code. */
function report(error: unknown): number {
  const screen = new Screen(process.stderr, process.env);
  if (error instanceof Interruption) {
    screen.heading(error.message);
    return error.exitCode;
  }
  screen.failure(complaint(error));
  return 1;
}
