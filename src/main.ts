#!/usr/bin/env node
import './require-node.ts';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';

const { EXIT, HELP, readCommandLine } = await import('./commands/command-line.ts');

// Each command imports only its own code, which keeps health probes fast.
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
    const isNpx = process.env['npm_lifecycle_event'] === 'npx';
    const command = isNpx ? 'npx session-control' : 'session-control';
    const folder = line.folder ?? dirname(configFile(undefined));
    process.exitCode = init(folder, command, process.stdout, process.stderr);
    break;
  }
  case 'health': {
    const { health } = await import('./commands/health.ts');
    process.exitCode = await health(configFile(line.config), process.env, process.stderr);
    break;
  }
  case 'audit': {
    const { verifyAudit } = await import('./commands/audit.ts');
    process.exitCode = await verifyAudit(line.files, process.stdout, process.stderr);
    break;
  }
  case 'help':
    process.stdout.write(HELP);
    break;
  case 'version':
    process.stdout.write(`session-control ${version()}\n`);
    break;
  case 'wrong':
    process.stderr.write(
      `session-control: ${line.problem.replace(/[^?]$/, '$&.')} See \`session-control --help\`.\n`,
    );
    process.exitCode = EXIT.usage;
}

async function start(file: string): Promise<void> {
  // Before all else: logrotate may send SIGHUP at any time, and an unhandled SIGHUP ends the process.
  const early = { isReloadAsked: false };
  let reload = (): void => {
    early.isReloadAsked = true;
  };
  process.on('SIGHUP', () => {
    reload();
  });
  process.setSourceMapsEnabled(true);
  const { readConfiguration, renderProblems } = await import('./configuration.ts');
  const initial = readConfiguration(file, process.env);
  if ('problems' in initial) {
    process.stderr.write(renderProblems(initial));
    process.exitCode = EXIT.configuration;
    return;
  }
  const { startService } = await import('./service.ts');
  const service = startService(initial, {
    processId: process.pid,
    reread: () => readConfiguration(file, process.env),
    onCannotListen: () => (process.exitCode = EXIT.trouble),
    endNow,
  });
  reload = service.reload;
  if (early.isReloadAsked) reload();
  process.on('SIGTERM', service.stop);
  process.on('SIGINT', service.stop);
}

/** Ends the process at once. process.exit() would wait for a hanging thread of Node.js. */
function endNow(): never {
  process.removeAllListeners('SIGTERM');
  process.kill(process.pid, 'SIGTERM');
  // The kernel ignores SIGTERM for the first process of a container.
  process.abort();
}

function configFile(given: string | undefined): string {
  return given ?? process.env['CONFIG_FILE'] ?? 'config/service.yaml';
}

function version(): string {
  const file = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
