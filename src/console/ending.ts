import { useEffect, useRef, useState } from 'react';
import type { NodeAddress, Outcome, Session, Termination } from '../client/index.ts';
import { useApi, type Api } from './api.ts';
import { randomKey } from './format.ts';
import { keyOf } from './selection.tsx';

/** The sessions that the user chose to end, as the page showed them. */
export interface Ended {
  readonly sessions: readonly Session[];
  /** A session that no longer passes has changed, and is left alone. */
  readonly filter: (session: Session) => boolean;
}

/** The answers of the user in the dialog. */
export interface Decision {
  readonly scope: 'session' | 'statement';
  readonly reason: string;
}

/** The outcome of one session. `changed`: the page did not send its id, because a newer list shows another session or none. */
export interface Result {
  readonly outcome: Outcome | 'changed';
  readonly rowsLeft?: bigint | undefined;
  readonly secondsLeft?: number | undefined;
  /** True if a list has shown the rollback. */
  readonly isListed?: boolean;
  readonly transactionOpen?: boolean | undefined;
}

/** The state of ending sessions. */
export interface Progress {
  readonly phase: 'asking' | 'looking' | 'working' | 'unanswered' | 'done';
  readonly results: ReadonlyMap<bigint, Result>;
  readonly error?: unknown;
  /** The message of the service about failed and unknown outcomes. */
  readonly trouble?: string | undefined;
  readonly requestIds: readonly string[];
}

const WAIT_SECONDS = 10;
const ASK_AGAIN_MS = 2000;
/** After this number of attempts, the page sends the request again only when the person presses the button. */
const MOST_ATTEMPTS = 60;
/** A longer list is not read again: `expected` alone protects sessions that have changed. */
const MOST_TO_LOOK_AT = 1000;
const START: Progress = { phase: 'asking', results: new Map(), requestIds: [] };

/** Ends sessions. Whatever happens, each one gets an outcome that the service reported, or `unknown`. */
export function useEnding(node: NodeAddress, { sessions, filter }: Ended, total: number) {
  const api = useApi();
  const current = useRef(api);
  current.current = api;
  const [progress, setProgress] = useState(START);
  const request = useRef<() => Promise<Termination>>(undefined);
  const attempts = useRef(0);

  const send = async (): Promise<void> => {
    attempts.current += 1;
    try {
      const termination = await request.current?.();
      if (termination) setProgress((before) => after(before, termination));
    } catch (error) {
      // The client library rejects only if this attempt ended no session. An earlier attempt may have ended some.
      setProgress((before) =>
        before.phase === 'unanswered' ? { ...before, error } : { ...START, error },
      );
    }
  };

  const run = async ({ scope, reason }: Decision): Promise<void> => {
    setProgress({ ...START, phase: 'looking' });
    let same: readonly Session[];
    try {
      same = total > MOST_TO_LOOK_AT ? sessions : await stillThere(api, node, { sessions, filter });
    } catch (error) {
      setProgress({ ...START, error });
      return;
    }
    const kept = new Set(same);
    const changed = sessions.filter((session) => !kept.has(session));
    const results = new Map(changed.map(({ id }) => [id, { outcome: 'changed' as const }]));
    if (same.length === 0) {
      setProgress({ ...START, phase: 'done', results });
      return;
    }
    setProgress({ ...START, phase: 'working', results });
    attempts.current = 0;
    const idempotencyKey = randomKey();
    const targets = same.map(({ id, host, user, info }) => {
      // The details show the whole statement, and the service compares with 100 bytes of it.
      const [beginning] = /^\p{ASCII}{0,100}/u.exec(info) ?? [];
      return { id, host, user, info: beginning };
    });
    request.current = () =>
      current.current.killer.kill(node, targets, {
        scope,
        idempotencyKey,
        waitSeconds: WAIT_SECONDS,
        ...(reason !== '' && { reason }),
      });
    await send();
  };

  useEffect(() => {
    if (progress.phase !== 'unanswered' || attempts.current >= MOST_ATTEMPTS) return undefined;
    const timer = setTimeout(() => void send(), ASK_AGAIN_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [progress]);
  useLeaving(node, progress, setProgress, total);

  return { progress, run, askAgain: () => void send() };
}

/** Resolves to the sessions that a newer list shows under the same id, host and user, and that still pass the filter. */
async function stillThere(
  { client }: Api,
  node: NodeAddress,
  { sessions, filter }: Ended,
): Promise<readonly Session[]> {
  const newer = new Map((await client.list(node)).map((session) => [keyOf(session), session]));
  return sessions.filter((session) => {
    const now = newer.get(keyOf(session));
    return now?.user === session.user && filter(now);
  });
}

function after(before: Progress, termination: Termination): Progress {
  const { killed, notFound, failed, unknown, sessions, trouble, requestIds } = termination;
  const results = new Map(before.results);
  const set = (outcome: Outcome) => (id: bigint) => results.set(id, { outcome });
  killed.forEach(set('killed'));
  notFound.forEach(set('not_found'));
  failed.forEach(set('failed'));
  unknown.forEach(set('unknown'));
  for (const { id, outcome, transactionOpen, rowsLeft, secondsLeft } of sessions) {
    results.set(id, { outcome, transactionOpen, rowsLeft, secondsLeft });
  }
  // Only an attempt without a response is repeated: the service keeps its responses under the key.
  const isUnanswered = unknown.length > 0 && requestIds.length === 0;
  return {
    phase: isUnanswered ? 'unanswered' : 'done',
    results,
    trouble: isUnanswered ? undefined : trouble,
    requestIds: [...new Set([...before.requestIds, ...requestIds])],
  };
}

/** Follows the sessions that are still leaving the node, until its list shows them no more. */
function useLeaving(
  node: NodeAddress,
  progress: Progress,
  setProgress: (change: (before: Progress) => Progress) => void,
  total: number,
): void {
  const { client, budget } = useApi();
  useEffect(() => {
    const { phase, results } = progress;
    const leaving = [...results].filter(([, { outcome }]) => isLeaving(outcome));
    if (phase !== 'done' || leaving.length === 0 || total > MOST_TO_LOOK_AT) return undefined;
    const stop = new AbortController();
    const pauseMs = budget.pauseFor(Math.ceil((total + 1) / 100));
    const timer = setTimeout(() => {
      client.list(node, { signal: stop.signal, withTransactions: true }).then(
        (listed) => {
          setProgress((before) => ({ ...before, results: withList(before.results, listed) }));
        },
        () => {
          // The outcome stays as the service reported it. The next read may work.
          if (!stop.signal.aborted) setProgress((before) => ({ ...before }));
        },
      );
    }, pauseMs);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [progress]);
}

function isLeaving(outcome: Result['outcome']): boolean {
  return outcome === 'killed' || outcome === 'rolling_back';
}

/**
 * A killed session that is not listed is gone. MySQL can roll back a session that the list no longer shows, so one that was rolling back
 * is gone only if a list has shown its rollback.
 */
function withList(
  results: ReadonlyMap<bigint, Result>,
  listed: readonly Session[],
): ReadonlyMap<bigint, Result> {
  const byId = new Map(listed.map((session) => [session.id, session]));
  return new Map(
    [...results].map(([id, result]): [bigint, Result] => {
      if (!isLeaving(result.outcome)) return [id, result];
      const session = byId.get(id);
      if (session !== undefined) {
        const { transaction } = session;
        if (transaction?.state !== 'ROLLING BACK') return [id, result];
        return [
          id,
          { outcome: 'rolling_back', rowsLeft: transaction.rowsModified, isListed: true },
        ];
      }
      const isGone = result.outcome === 'killed' || result.isListed === true;
      return [id, isGone ? { outcome: 'gone' } : result];
    }),
  );
}
