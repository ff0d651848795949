#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { HELP, readCommandLine } from './commands/command-line.ts';
import { EXIT } from './commands/exit-codes.ts';

// What a command does not need is not loaded: neither is a service slow to start, nor a probe.
const line = readCommandLine(process.argv.slice(2));
switch (line.command) {
  case 'start':
    await start(configFile(line.config));
    break;
  case 'check': {
    const { check } = await import('./commands/check.ts');
    process.exitCode = await check(configFile(line.config), process.env, line.format, {
      output: process.stdout,
      messages: process.stderr,
    });
    break;
  }
  case 'init': {
    const { init } = await import('./commands/init.ts');
    process.exitCode = init(line.folder, process.stdout, process.stderr);
    break;
  }
  case 'health': {
    const { health } = await import('./commands/health.ts');
    process.exitCode = await health(configFile(line.config), process.env, process.stderr);
    break;
  }
  case 'help':
    process.stdout.write(HELP);
    break;
  case 'version':
    process.stdout.write(`session-control ${version()}\n`);
    break;
  case 'wrong':
    process.stderr.write(`session-control: ${line.problem}. See \`session-control --help\`.\n`);
    process.exitCode = EXIT.usage;
}

async function start(file: string): Promise<void> {
  process.setSourceMapsEnabled(true);
  const { readConfiguration, toldProblems } = await import('./read-configuration.ts');
  const initial = readConfiguration(file, process.env);
  if ('problems' in initial) {
    process.stderr.write(toldProblems(initial));
    process.exitCode = EXIT.configuration;
    return;
  }
  const { startService } = await import('./service.ts');
  const service = startService(initial, {
    processId: process.pid,
    reread: () => readConfiguration(file, process.env),
    onCannotListen: () => (process.exitCode = EXIT.trouble),
  });
  process.on('SIGHUP', service.reload);
  process.on('SIGTERM', service.stop);
  process.on('SIGINT', service.stop);
}

function configFile(given: string | undefined): string {
  return given ?? process.env['CONFIG_FILE'] ?? 'config/service.yaml';
}

function version(): string {
  const file = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
