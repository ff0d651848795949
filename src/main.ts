#!/usr/bin/env node
import { readConfiguration, toldProblems } from './read-configuration.ts';
import { startService } from './service.ts';

/** What sysexits.h calls EX_CONFIG. */
const EXIT_CONFIGURATION = 78;

const configFile = process.env['CONFIG_FILE'] ?? 'config/service.yaml';
const initial = readConfiguration(configFile, process.env);
if ('problems' in initial) {
  process.stderr.write(toldProblems(initial));
  process.exitCode = EXIT_CONFIGURATION;
} else {
  const service = startService(initial, {
    processId: process.pid,
    reread: () => readConfiguration(configFile, process.env),
    onCannotListen: () => (process.exitCode = 1),
  });
  process.on('SIGHUP', service.reload);
  process.on('SIGTERM', service.stop);
  process.on('SIGINT', service.stop);
}
