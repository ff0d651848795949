#!/usr/bin/env node
import '../require-node.ts';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';

const { EXIT } = await import('./exit-codes.ts');
const { Interrupted } = await import('./failures.ts');
const { run } = await import('./program.ts');
const { createScreen } = await import('./cli-context.ts');

// React, which draws the screen of `top`, otherwise checks each component and prints warnings.
process.env['NODE_ENV'] ??= 'production';

const interrupt = new AbortController();
process.on('SIGINT', () => {
  // A second Ctrl-C ends the process at once, without a report.
  if (interrupt.signal.aborted) process.exit(EXIT.interrupted);
  interrupt.abort(new Interrupted());
});

const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string };

const messages = createScreen(process.stderr, process.env);
const output = createScreen(process.stdout, process.env, (error) => {
  process.exitCode = EXIT.unwritten;
  messages.line(`sessionctl: the output cannot be written: ${error.message}`);
});

const code = await run(process.argv.slice(2), version, {
  environment: process.env,
  homeFolder: homedir(),
  input: process.stdin,
  output,
  messages,
  signal: interrupt.signal,
});
// A name server that does not answer would keep the process alive, and with it a shell that completes a word.
if (process.argv[2] === '__complete') process.exit(code);
// A failed write sets the exit code itself, before or after this line runs.
process.exitCode ??= code;
