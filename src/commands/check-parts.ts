import { constants, open } from 'node:fs/promises';
import { isNativeError } from 'node:util/types';
import { LEAST_FREE_BYTES, LineFile } from '../audit/line-file.ts';
import type { Config } from '../config/service-file.ts';
import { storeOf } from '../settings.ts';
import { RedisConnection, type RedisSettings } from '../store/redis-connection.ts';

/** A part of the service, where it is, and what is wrong with it. */
export interface PartState {
  readonly part: 'audit' | 'IAM' | 'store';
  readonly place: string;
  readonly trouble: string | undefined;
}

/** Tries what the service would use besides nodes, as far as it is configured. */
export async function tryParts(config: Config): Promise<PartState[]> {
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

/** A file that is not there yet is made by the service: that its folder can be written to was seen when the configuration was read. */
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
  // Versions are shown to everybody, by some with 300.
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

/** The innermost reason: fetch's own is always "fetch failed". */
function reasonOf(error: unknown): string {
  if (!isNativeError(error)) return String(error);
  if (error.cause !== undefined) return reasonOf(error.cause);
  return error.message || ('code' in error ? String(error.code) : error.name);
}
