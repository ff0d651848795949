import { constants, open } from 'node:fs/promises';
import { isNativeError } from 'node:util/types';
import { LEAST_FREE_BYTES, LineFile } from '../audit/line-file.ts';
import type { Config } from '../config/service-file.ts';
import type { Environment } from '../config/yaml-file.ts';
import {
  readConfiguration,
  storeOf,
  renderProblems,
  type Configuration,
} from '../configuration.ts';
import { probe } from '../mysql/probe.ts';
import { RedisConnection, type RedisSettings } from '../store/redis-connection.ts';
import {
  nodeTroubles,
  renderJson,
  renderTable,
  type Findings,
  type PartState,
  type NodeFindings,
} from './check-report.ts';
import { EXIT, type ExitCode } from './command-line.ts';

/** The most nodes that are probed at the same time. */
const CONCURRENT_PROBES = 16;

/** The streams for the result and for errors. */
export interface Outputs {
  readonly output: { write(text: string): unknown; readonly columns?: number };
  readonly messages: { write(text: string): unknown };
}

/**
 * Reads the configuration as the service does, probes both ports of each node, tries the other parts, and prints the findings.
 * Ends no session and writes nothing. Returns exit code 1 if it finds a problem, and 78 if the configuration is wrong.
 */
export async function check(
  file: string,
  environment: Environment,
  format: 'table' | 'json',
  { output, messages }: Outputs,
): Promise<ExitCode> {
  const configuration = readConfiguration(file, environment);
  if ('problems' in configuration) {
    messages.write(renderProblems(configuration));
    return EXIT.configuration;
  }
  const findings = await probeAll(configuration);
  output.write(format === 'json' ? renderJson(findings) : renderTable(findings, output.columns));
  const isWell =
    findings.nodes.every(({ troubles }) => troubles.length === 0) &&
    findings.parts.every(({ trouble }) => trouble === undefined);
  return isWell ? EXIT.done : EXIT.trouble;
}

async function probeAll({ config, nodes }: Configuration): Promise<Findings> {
  const parts = tryParts(config);
  const tried: NodeFindings[] = [];
  const left = [...nodes.entries()];
  const tryNext = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [index, node] = next;
      const deadline = performance.now() + config.limits.request_timeout_ms;
      const found = await probe(node, deadline);
      tried[index] = { node, found, troubles: nodeTroubles(node, found) };
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_PROBES }, tryNext));
  return { nodes: tried, parts: await parts };
}

/** Tries the configured parts other than nodes: audit file, IAM and store. */
async function tryParts(config: Config): Promise<PartState[]> {
  const { audit, identity } = config;
  const store = storeOf(config);
  const iam = identity.keystone;
  return Promise.all([
    ...(audit ? [stateOf('audit', audit.file, tryFile(audit.file))] : []),
    ...(iam ? [stateOf('IAM', iam.endpoint, tryIam(iam.endpoint, iam.timeout_ms))] : []),
    ...(store ? [stateOf('store', `${store.host}:${store.port}`, tryStore(store))] : []),
  ]);
}

async function stateOf(
  part: PartState['part'],
  place: string,
  attempt: Promise<void>,
): Promise<PartState> {
  return attempt.then(
    () => ({ part, place, trouble: undefined }),
    (error: unknown) => ({ part, place, trouble: reasonOf(error) }),
  );
}

/** Throws if the audit file cannot be opened or its disk is almost full. The service creates a missing file in its writable folder. */
async function tryFile(file: string): Promise<void> {
  try {
    const { O_WRONLY, O_APPEND, O_NONBLOCK } = constants;
    await (await open(file, O_WRONLY | O_APPEND | O_NONBLOCK)).close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  if ((await new LineFile(file).freeBytes()) < LEAST_FREE_BYTES) {
    throw new Error('ENOSPC: less than a megabyte is free on its file system');
  }
}

async function tryIam(endpoint: string, timeoutMs: number): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs);
  const { status, body } = await fetch(`${endpoint}/v3`, { signal, redirect: 'manual' });
  await body?.cancel();
  // Keystone shows its versions without a token, and some servers answer 300.
  if (status > 300) throw new Error(`its /v3 answered ${status}`);
}

async function tryStore(settings: RedisSettings): Promise<void> {
  let redis: RedisConnection | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      redis = new RedisConnection(settings, { lost: reject, back: () => undefined });
      redis.onReady(resolve);
    });
  } finally {
    await redis?.close();
  }
}

/** Returns the message of the innermost cause: the message of fetch is always "fetch failed". */
function reasonOf(error: unknown): string {
  if (!isNativeError(error)) return String(error);
  if (error.cause !== undefined) return reasonOf(error.cause);
  return error.message || ('code' in error ? String(error.code) : error.name);
}
