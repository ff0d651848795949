import { probe } from '../mysql/probe.ts';
import {
  readConfiguration,
  toldProblems,
  type Configuration,
} from '../config/read-configuration.ts';
import type { Environment } from '../config/yaml-file.ts';
import { renderJson, renderTable, type Findings, type Tried } from './check-report.ts';
import { nodeTroubles } from './check-troubles.ts';
import { tryParts } from './check-parts.ts';
import { EXIT, type ExitCode } from './command-line.ts';

/** How many nodes are tried at once. */
const AT_ONCE = 16;

/** Where text goes. */
export interface Outputs {
  readonly output: { write(text: string): unknown; readonly columns?: number };
  readonly messages: { write(text: string): unknown };
}

/**
 * Reads the configuration as the service does, tries each way into each node and what else the service would use, and tells what it found.
 * Ends nobody and writes nothing. The exit code is 1 when there is trouble, 78 when the configuration is wrong.
 */
export async function check(
  file: string,
  environment: Environment,
  format: 'table' | 'json',
  { output, messages }: Outputs,
): Promise<ExitCode> {
  const configuration = readConfiguration(file, environment);
  if ('problems' in configuration) {
    messages.write(toldProblems(configuration));
    return EXIT.configuration;
  }
  const findings = await findOut(configuration);
  output.write(format === 'json' ? renderJson(findings) : renderTable(findings, output.columns));
  const isWell =
    findings.nodes.every(({ troubles }) => troubles.length === 0) &&
    findings.parts.every(({ trouble }) => trouble === undefined);
  return isWell ? EXIT.done : EXIT.trouble;
}

async function findOut({ config, nodes }: Configuration): Promise<Findings> {
  const parts = tryParts(config);
  const tried: Tried[] = [];
  const left = [...nodes.entries()];
  const tryNext = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [index, node] = next;
      const deadline = performance.now() + config.limits.request_timeout_ms;
      const found = await probe(node, deadline);
      tried[index] = { node, found, troubles: nodeTroubles(node, found) };
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, tryNext));
  return { nodes: tried, parts: await parts };
}
