import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'lossless-json';
import { complaint } from '../server-binaries.ts';
import { onceSignalled, readCommandLine } from '../lib/command-line.ts';
import { readArguments, USAGE, type TortureSettings } from './arguments.ts';
import { check } from './checker.ts';
import { evidenceOf } from './evidence.ts';
import { figures } from './figures.ts';
import { History } from './history.ts';
import { TortureNode } from './node.ts';
import { REQUEST_TIMEOUT_MS } from './service.ts';
import { torture, type Undos } from './torture.ts';

/** After an interruption, the run has this time to end. */
const SETTLE_MS = 5_000;
/** The number of violations that are shown for each rule. */
const MAX_SHOWN = 5;

process.exit(await main(process.argv.slice(2)));

async function main(args: readonly string[]): Promise<number> {
  const settings = readCommandLine(USAGE, () => readArguments(args));
  if (typeof settings === 'number') return settings;
  const interruption = new AbortController();
  const signalled = onceSignalled(() => {
    interruption.abort();
  });
  const undos: Undos = [];
  const running = run(settings, undos, interruption.signal);
  try {
    return await Promise.race([
      running.then((code) => (interruption.signal.aborted ? signalled : code)),
      signalled.then(async (code) => {
        await Promise.race([running, sleep(SETTLE_MS)]);
        return code;
      }),
    ]);
  } catch (error) {
    say(complaint(error));
    return 1;
  } finally {
    for (const undo of undos.reverse()) {
      await Promise.resolve(undo()).catch((error: unknown) => {
        say(`A cleanup step failed: ${complaint(error)}`);
      });
    }
  }
}

async function run(
  settings: TortureSettings,
  undos: Undos,
  interruption: AbortSignal,
): Promise<number> {
  const nodes: TortureNode[] = [];
  for (const kind of settings.servers) {
    const node = await TortureNode.start(kind, say);
    undos.push(() => node.stop());
    nodes.push(node);
  }
  const { source } = settings;
  const isAudited = settings.audit ?? existsSync(join(source, 'src', 'audit'));
  const history = new History();
  const { events } = history;
  say(`The run begins with seed ${settings.seed}`);
  const service = { source, isAudited };
  const audit = await torture(settings, { nodes, service, history, interruption, undos, say });
  if (settings.history !== undefined) {
    const lines = events.map((event) => `${stringify(event) ?? ''}\n`);
    writeFileSync(settings.history, lines.join(''));
  }
  const { view, violations } = check(events, { requestTimeoutMs: REQUEST_TIMEOUT_MS, audit });
  for (const line of figures(settings, events, view, violations, REQUEST_TIMEOUT_MS)) say(line);
  const rules = new Set(violations.map(({ rule }) => rule));
  const shown = [...rules].flatMap((rule) =>
    violations.filter((violation) => violation.rule === rule).slice(0, MAX_SHOWN),
  );
  for (const violation of shown) {
    say(`\nVIOLATION (${violation.rule}): ${violation.sentence}`);
    for (const line of evidenceOf(violation, events)) say(line);
  }
  return violations.length === 0 ? 0 : 1;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
