import { stringify } from 'lossless-json';
import type { SessionControlError } from './errors.ts';
import type { Target, Termination } from './session.ts';

/** Nothing yet. */
export const NO_TERMINATION: Termination = {
  killed: [],
  notFound: [],
  failed: [],
  unknown: [],
  sessions: [],
  trouble: undefined,
  waitedSeconds: undefined,
  requestIds: [],
};

/** Two that are about different ids as one. */
export function joined(one: Termination, other: Termination): Termination {
  return {
    killed: [...one.killed, ...other.killed],
    notFound: [...one.notFound, ...other.notFound],
    failed: [...one.failed, ...other.failed],
    unknown: [...one.unknown, ...other.unknown],
    sessions: [...one.sessions, ...other.sessions],
    trouble: one.trouble ?? other.trouble,
    waitedSeconds: one.waitedSeconds ?? other.waitedSeconds,
    requestIds: [...one.requestIds, ...other.requestIds],
  };
}

/** What is known of the ids of a request that got no answer with them: unknown if it may have arrived and been carried out, else failed. */
export function cutOff(
  targets: readonly Target[],
  isUnknown: boolean,
  trouble: string,
  error?: SessionControlError,
): Termination {
  const ids = targets.map(({ id }) => id);
  return {
    ...NO_TERMINATION,
    [isUnknown ? 'unknown' : 'failed']: ids,
    sessions: ids.map((id) => ({ id, outcome: isUnknown ? 'unknown' : 'failed' })),
    trouble,
    requestIds: error?.requestId === undefined ? [] : [error.requestId],
  };
}

/** Splits so that no request has more ids or a longer body than the service takes; ids that come twice are taken once. */
export function batches(
  targets: readonly Target[],
  maxIds: number,
  maxBytes: number,
): readonly (readonly Target[])[] {
  const parts: Target[][] = [];
  let bytes = 0;
  for (const target of new Map(targets.map((entry) => [entry.id, entry])).values()) {
    const size = Buffer.byteLength(bodyText([target]));
    const part = parts.at(-1);
    if (part === undefined || part.length >= maxIds || bytes + size > maxBytes) {
      parts.push([target]);
      bytes = size;
    } else {
      part.push(target);
      bytes += size;
    }
  }
  return parts;
}

/** The body of a DELETE as text: ids are exact integers in it. */
export function bodyText(targets: readonly Target[]): string {
  const expected = targets
    .map(({ id, host, user }) => ({ id, ...(host && { host }), ...(user && { user }) }))
    .filter((target) => 'host' in target || 'user' in target);
  const processes = targets.map(({ id }) => id);
  return stringify({ processes, ...(expected.length > 0 && { expected }) }) ?? '';
}
