import type { RequestHandler } from 'express';
import { matchedData } from 'express-validator';
import type { Blocker, Wait } from '../domain/lock-report.ts';
import type { LockSource } from '../domain/locks.ts';
import type { LockCause, SessionLocks } from '../domain/session-locks.ts';
import type { Language } from '../errors.ts';
import type { RequestLimits } from './processes-controller.ts';
import { requestContext } from './request-context.ts';
import type { PathIds } from './route-steps.ts';
import { nodeKey } from './validators.ts';
import { sendJson, sessionBody, transactionBody } from './wire.ts';

/** The handlers of a node's locks. Each handler runs after its request has passed all checks. */
export interface LocksController {
  /** Answers GET …/process/lock-wait with the reason why a session waits. */
  readonly lockWait: RequestHandler<PathIds>;
  /** Answers GET …/blockers with all blockers of user sessions. */
  readonly blockers: RequestHandler<PathIds>;
}

/** Creates the handlers of a node's locks. */
export function createLocksController(
  locks: SessionLocks,
  { requestTimeoutMs }: Pick<RequestLimits, 'requestTimeoutMs'>,
): LocksController {
  return {
    async lockWait(req, res) {
      const { pid } = matchedData<{ pid: bigint }>(req);
      const deadline = requestContext(res).receivedAt + requestTimeoutMs;
      sendJson(res, 200, causeBody(await locks.causeOf(nodeKey(req.params), pid, deadline)));
    },

    async blockers(req, res) {
      const { receivedAt, language } = requestContext(res);
      const report = await locks.blockers(nodeKey(req.params), receivedAt + requestTimeoutMs);
      const { row, metadata } = report.sources;
      sendJson(res, 200, {
        blockers: report.blockers.map((blocker) => blockerBody(blocker, report.hasTransactions)),
        waits: report.waits.map(waitBody),
        ...(report.isTruncated && { truncated: true }),
        sources: { row: sourceBody(row, language), metadata: sourceBody(metadata, language) },
      });
    },
  };
}

// Each key is listed, so that no future field of the report reaches callers by accident. A key that is undefined is not sent.
function blockerBody(blocker: Blocker, hasTransactions: boolean): object {
  const { id, session, transaction, isPrepared } = blocker;
  const isInternal = id === null && !isPrepared;
  return {
    id,
    ...(session && sessionBody(session)),
    ...(hasTransactions && !isInternal && { transaction: transactionBody(transaction) }),
    is_root: blocker.isRoot,
    waiters: blocker.waiters,
    direct_waiters: blocker.directWaiters,
    can_be_killed: blocker.canBeKilled,
    ...(isPrepared && { prepared: true }),
  };
}

/** Returns a row of `waits`. A field that the node does not show is missing. */
export function waitBody(wait: Wait): object {
  const { id, waitsFor, kind, seconds, db, table, index, mode, data, name } = wait;
  return { id, waits_for: waitsFor, kind, seconds, db, table, index, mode, data, name };
}

/** Returns `available`, or the reason in the caller's language. */
export function sourceBody(source: LockSource, language: Language): string {
  return source === 'available' ? source : source[language];
}

// The names are those of the published API.
function causeBody(cause: LockCause | undefined): object {
  if (cause === undefined) return {};
  const { waiter, seconds, lock, root } = cause;
  const isRow = lock?.kind === 'row';
  return {
    abnormal_root_cause: {
      abnormal_type: 'LOCK_WAIT',
      lock_root_cause: {
        locked_pid: waiter.id,
        locked_sql: waiter.info,
        wait_seconds: seconds,
        ...(lock && {
          lock_db: lock.db,
          lock_table: lock.table,
          lock_index: isRow ? lock.index : '',
          lock_mode: lock.mode,
          lock_data: isRow ? lock.data : '',
        }),
        ...(root && rootBody(root)),
      },
    },
  };
}

// All fields are undefined for an internal thread.
function rootBody({ id, session, transaction, threadId }: Blocker): object {
  return {
    blocker_pid: id ?? undefined,
    blocker_state: transaction?.state,
    blocker_age: transaction?.seconds,
    blocker_rows_locked: transaction?.rowsLocked,
    blocker_rows_modified: transaction?.rowsModified,
    blocker_current_sql: session && (session.info === '' ? [] : [session.info]),
    blocker_host: session?.host,
    blocker_command: session?.command,
    blocker_thread_id: threadId,
  };
}
