import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REPOSITORY } from '../lib/launched-service.ts';
import { Cleanup } from '../demo/cleanup.ts';
import { Screen } from '../demo/screen.ts';
import { NODE } from '../demo/service.ts';
import { Terminal } from '../terminal.ts';
import { setScene } from './scene.ts';
import { drawTerminal, TERMINAL_COLUMNS } from './svg.ts';

// Draws docs/sessionctl.svg from a run of sessionctl on a database server. `npm run record` runs this after `npm run build`.

const PICTURE = join(REPOSITORY, 'docs/sessionctl.svg');

interface Step {
  readonly command: string;
  /** The text to wait for, and the keys to type then. */
  readonly answer?: readonly [string, string];
}

const cleanup = new Cleanup();
const home = mkdtempSync(join(tmpdir(), 'sessionctl-recording-'));
try {
  const { service, batch } = await setScene(cleanup);
  const environment = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    TERM: 'xterm-256color',
    LANG: 'C.UTF-8',
    SESSIONCTL_ENDPOINT: service.origin,
    SESSIONCTL_PROJECT: NODE.projectId,
    SESSIONCTL_INSTANCE: NODE.instanceId,
    SESSIONCTL_NODE: NODE.nodeId,
    SESSIONCTL_TOKEN: service.token,
  };
  const steps: readonly Step[] = [
    { command: 'sessionctl list --sort -time' },
    {
      command: 'sessionctl kill --user report --command Query --wait 10s',
      answer: ['(y/N)', 'y\r'],
    },
    {
      command: `sessionctl kill ${batch} 9007199254740993 --yes`,
    },
    { command: "sessionctl list --user 'b*' --user app" },
  ];
  let written = '';
  for (const step of steps) written += await record(step, environment);
  writeFileSync(PICTURE, await drawTerminal(written, 'A session with sessionctl'));
} finally {
  await cleanup.run(new Screen(process.stderr, process.env));
  rmSync(home, { recursive: true });
}

/** Runs a command on a terminal and returns the text that the terminal showed. */
async function record(
  { command, answer }: Step,
  environment: Readonly<Record<string, string>>,
): Promise<string> {
  const program = `sessionctl() { node '${REPOSITORY}dist/cli/main.js' "$@"; }`;
  const terminal = new Terminal(`${program}; ${command}`, environment, TERMINAL_COLUMNS);
  if (answer !== undefined) {
    await terminal.shows(answer[0]);
    terminal.type(answer[1]);
  }
  const code = await terminal.ended();
  process.stderr.write(`${command}: ${String(code)}\n`);
  return `\x1b[32m$\x1b[39m \x1b[1m${command}\x1b[22m\r\n${terminal.shown}\r\n`;
}
