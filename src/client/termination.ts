import { stringify } from 'lossless-json';
import type { SessionControlError } from './errors.ts';
import type { Target, Termination } from './session.ts';

/** A result without ids. */
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

/** Joins two results about different ids. */
export function joined(one: Termination, other: Termination): Termination {
  return {
    killed: [...one.killed, ...other.killed],
    notFound: [...one.notFound, ...other.notFound],
    failed: [...one.failed, ...other.failed],
    unknown: [...one.unknown, ...other.unknown],
    sessions: [...one.sessions, ...other.sessions],
    trouble: one.trouble ?? other.trouble,
    missingTransactions: one.missingTransactions ?? other.missingTransactions,
    waitedSeconds: one.waitedSeconds ?? other.waitedSeconds,
    requestIds: [...one.requestIds, ...other.requestIds],
  };
}

/** Returns the result of a request whose answer has no outcomes: all its ids are unknown, or failed if `isUnknown` is false. */
export function unanswered(
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

/** Splits targets into requests of at most `maxIds` ids and `maxBytes` bytes. An id that is given twice is sent once. */
export function batches(
  targets: readonly Target[],
  maxIds: number,
  maxBytes: number,
): readonly (readonly Target[])[] {
  const parts: Target[][] = [];
  let bytes = 0;
  for (const target of new Map(targets.map((entry) => [entry.id, entry])).values()) {
    const size = new TextEncoder().encode(bodyText([target])).length;
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

/** Returns the body of a DELETE as JSON with exact integers. */
export function bodyText(targets: readonly Target[]): string {
  const expected = targets
    .map(({ id, host, user, info }) => ({
      id,
      ...(host && { host }),
      ...(user && { user }),
      ...(info && { info }),
    }))
    .filter((target) => Object.keys(target).length > 1);
  const processes = targets.map(({ id }) => id);
  return stringify({ processes, ...(expected.length > 0 && { expected }) }) ?? '';
}
