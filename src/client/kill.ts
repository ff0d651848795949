import { SessionControlError } from './errors.ts';
import type { Target, Termination } from './session.ts';
import { batches, bodyText, joined, NO_TERMINATION, unanswered } from './termination.ts';

/** The options of a kill. */
export interface KillOptions {
  readonly signal?: AbortSignal | undefined;
  /** Sends no KILL. In the result, `killed` has the ids that a kill would end, and `failed` the ids that the node would refuse. */
  readonly isDryRun?: boolean | undefined;
  /** `statement` ends only the statement that each session runs; the session and its transaction stay. By default, the session ends. */
  readonly scope?: 'session' | 'statement' | undefined;
  /** Waits at most this time until the sessions have left the node. The service may wait less: see `waitedSeconds`. */
  readonly waitSeconds?: number | undefined;
  /** Fills `sessions` of the result with one entry per id. `waitSeconds` implies this. */
  readonly isDetailed?: boolean | undefined;
  /** The reason, for the audit record of the service. 1 to 256 visible characters. */
  readonly reason?: string | undefined;
  /** 1 to 56 visible ASCII characters. A kill without a key is not sent again if no answer comes. */
  readonly idempotencyKey?: string | undefined;
  /** Called after each request with the outcomes so far. */
  readonly onProgress?: ((soFar: Termination) => void) | undefined;
}

/** The default limit of the service for one request. */
const MAX_IDS = 1000;
const MAX_BODY_BYTES = 200_000;

/** Sends one request with these sessions. Calls `onMayHaveRun` once the service can have received the request. */
type KillPart = (
  part: readonly Target[],
  index: number,
  onMayHaveRun: () => void,
) => Promise<Termination>;

/**
 * Ends sessions, in several requests if they are too many for one.
 * Rejects only if no session can have been ended; in all other cases the result accounts for each id.
 */
export async function killInParts(
  targets: readonly (bigint | Target)[],
  options: KillOptions,
  killPart: KillPart,
): Promise<Termination> {
  const named = targets.map((target) => asTarget(target, options.scope));
  const parts = batches(named, MAX_IDS, MAX_BODY_BYTES);
  let result = NO_TERMINATION;
  for (const [index, part] of parts.entries()) {
    const state = { mayHaveRun: false };
    const onMayHaveRun = (): void => {
      state.mayHaveRun = true;
    };
    try {
      result = joined(result, await killPart(part, index, onMayHaveRun));
    } catch (error) {
      if (index === 0 && !state.mayHaveRun) throw error;
      const later = parts.slice(index + 1).flat();
      const trouble = error instanceof SessionControlError ? error : undefined;
      const message = trouble?.message ?? 'The request was interrupted.';
      result = joined(result, unanswered(part, state.mayHaveRun, message, trouble));
      return later.length === 0 ? result : joined(result, unanswered(later, false, message));
    }
    options.onProgress?.(result);
  }
  return result;
}

/** Returns the parts of a DELETE that depend on the options. `path` is that below the path of the node. */
export function deleteRequest(targets: readonly Target[], options: KillOptions, index: number) {
  const { waitSeconds, isDryRun, scope, reason, idempotencyKey } = options;
  const prefer = [
    ...(waitSeconds === undefined ? [] : [`wait=${waitSeconds}`]),
    ...(waitSeconds !== undefined || options.isDetailed ? ['return=representation'] : []),
  ].join(', ');
  const query = [
    ...(isDryRun ? ['dry_run=true'] : []),
    ...(scope === 'statement' ? ['scope=statement'] : []),
  ].join('&');
  return {
    path: `processes${query === '' ? '' : `?${query}`}`,
    headers: {
      ...(prefer !== '' && { Prefer: prefer }),
      ...(reason !== undefined && { 'X-Kill-Reason': reason }),
      ...(idempotencyKey !== undefined && { 'Idempotency-Key': `${idempotencyKey}-${index}` }),
    },
    body: bodyText(targets),
    isRepeatable: isDryRun === true || idempotencyKey !== undefined,
  };
}

// A session from `list` holds the statement of that time. With the scope `session`, the kill must not depend on the statement.
function asTarget(target: bigint | Target, scope: KillOptions['scope']): Target {
  if (typeof target === 'bigint') return { id: target };
  return scope === 'statement' ? target : { ...target, info: undefined };
}
