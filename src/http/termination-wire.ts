import type { Response } from 'express';
import { parse, stringify } from 'lossless-json';
import type { Entry, Outcome, Scope, Termination } from '../domain/termination.ts';
import { ServiceError, type Language, type Sentence } from '../errors.ts';
import { requestContext } from './request-context.ts';
import { preferenceApplied, type Preferences } from './extensions.ts';
import { errorBody, sendJson, transactionBody } from './wire.ts';

/** The response to a DELETE as the store remembers it: the outcome of each id, the wait in seconds, and a sentence about the failure. */
export interface RememberedTermination extends Pick<
  Termination,
  'entries' | 'isDryRun' | 'missingTransactions'
> {
  readonly trouble: Sentence | undefined;
  readonly waitSeconds?: number | bigint | undefined;
}

/** Returns the response as text for the store. The text holds only what a response shows, and no statement. */
export function remember(
  { entries, isDryRun, trouble, missingTransactions }: Termination,
  { isRepresentationWanted, waitSeconds }: Preferences,
): string {
  const kept = entries.map(({ session, ...entry }) => ({
    ...entry,
    session: isRepresentationWanted && session ? { ...session, info: '' } : undefined,
  }));
  const detail = trouble?.detail;
  return (
    stringify({ entries: kept, isDryRun, trouble: detail, waitSeconds, missingTransactions }) ?? ''
  );
}

/** Returns true if ids failed and no KILL was sent: a retry can succeed. */
export function isRetryable({ entries, mayHaveSent }: Termination): boolean {
  return !mayHaveSent && entries.some(({ outcome }) => outcome === 'failed');
}

/** Returns the response to a DELETE that the store does not remember. */
export function answerOf(
  { entries, isDryRun, trouble, missingTransactions }: Termination,
  { waitSeconds }: Preferences,
): RememberedTermination {
  return { entries, isDryRun, trouble: trouble?.detail, waitSeconds, missingTransactions };
}

/** Parses a response from the text that `remember` returned. Every integer becomes a bigint. */
export function recall(text: string): RememberedTermination {
  return parse(text, undefined, {
    parseNumber: (digits) => BigInt(digits),
  }) as RememberedTermination;
}

/** Returns a response in which the outcome of every id is unknown, because the first request has no response. */
export function allUnknown(ids: readonly bigint[], isDryRun: boolean): RememberedTermination {
  return {
    entries: [...new Set(ids)].map((id) => ({
      id,
      outcome: 'unknown',
      session: undefined,
      fate: undefined,
    })),
    isDryRun,
    trouble: {
      'en-us':
        'The first request with this key was interrupted or got no response in time. Its outcome is unknown.',
      'zh-cn': '使用该键的首个请求被中断或未及时应答，其结果未知。',
    },
  };
}

/** Sends 200 if every id was killed or not found, or would be in a dry run. Otherwise sends 500 with all four outcomes. */
export function sendTermination(
  res: Response,
  termination: RememberedTermination,
  isRepresentationWanted: boolean,
  scope?: Scope,
): void {
  const applied = preferenceApplied(termination.waitSeconds, isRepresentationWanted);
  if (applied !== undefined) res.set('Preference-Applied', applied);
  const idsOf = (outcome: Outcome): bigint[] =>
    termination.entries.filter((entry) => entry.outcome === outcome).map(({ id }) => id);
  const [killed, notFound] = [idsOf('killed'), idsOf('not_found')];
  const [failed, unknown] = [idsOf('failed'), idsOf('unknown')];
  requestContext(res).counts = {
    killed: killed.length,
    not_found: notFound.length,
    failed: failed.length,
    unknown: unknown.length,
  };
  const done = { processes_killed: killed, processes_not_found: notFound };
  const more = {
    ...(termination.isDryRun && { dry_run: true }),
    ...(isRepresentationWanted && {
      processes: termination.entries.map(representationOf(termination, scope)),
    }),
    ...(termination.missingTransactions && {
      sources: { transaction: termination.missingTransactions[requestContext(res).language] },
    }),
  };
  if (failed.length === 0 && unknown.length === 0) {
    sendJson(res, 200, { ...done, ...more });
    return;
  }
  requestContext(res).error = new ServiceError('node_unavailable', termination.trouble);
  const counts = { killed, notFound, failed, unknown };
  sendJson(res, 500, {
    ...errorBody(
      'node_unavailable',
      incomplete(counts, termination.trouble, scope),
      requestContext(res),
    ),
    ...done,
    processes_failed: failed,
    processes_unknown: unknown,
    ...more,
  });
}

// Each key is listed, so that no future field of `Session` reaches callers by accident.
function representationOf(
  { isDryRun }: RememberedTermination,
  scope: Scope | undefined,
): (entry: Entry) => object {
  return ({ id, outcome, session, fate, rollback, transaction, isIdle, isInTransaction }) => {
    const { user, host, db, command, time, state } = session ?? {};
    const done = scope === 'statement' ? 'stopped' : killedAs(fate);
    const killed = isDryRun ? 'would_kill' : done;
    const other = isIdle === true ? 'idle' : outcome;
    return {
      id,
      outcome: outcome === 'killed' ? killed : other,
      ...(session && { user, host, db, command, time, state }),
      ...(rollback && { rows_left: rollback.rowsLeft, seconds_left: rollback.secondsLeft }),
      ...(transaction !== undefined && { transaction: transactionBody(transaction) }),
      ...(isInTransaction !== undefined && { transaction_open: isInTransaction }),
    };
  };
}

function killedAs(fate: Entry['fate']): string {
  return fate === undefined || fate === 'leaving' ? 'killed' : fate;
}

function incomplete(
  ids: Readonly<Record<'killed' | 'notFound' | 'failed' | 'unknown', readonly bigint[]>>,
  trouble: Sentence | undefined,
  scope: Scope | undefined,
): Sentence {
  const { killed, notFound, failed, unknown } = ids;
  const [done, doneZh] = scope === 'statement' ? ['stopped', '停止'] : ['killed', '终止'];
  const sentences = (
    language: Language,
    failedAs: string,
    unknownAs: string,
    end: string,
  ): string[] => [
    ...(failed.length > 0 ? [`${failedAs}${firstIds(failed)}${end}`] : []),
    ...(unknown.length > 0 ? [`${unknownAs}${firstIds(unknown)}${end}`] : []),
    ...(trouble ? [trouble[language]] : []),
  ];
  return {
    'en-us': [
      `${killed.length} ${done}, ${notFound.length} not found, ${failed.length} failed, ${unknown.length} unknown.`,
      ...sentences('en-us', 'Failed: ', 'Unknown: ', '.'),
    ].join(' '),
    'zh-cn': [
      `已${doneZh}${killed.length}个，未找到${notFound.length}个，失败${failed.length}个，结果未知${unknown.length}个。`,
      ...sentences('zh-cn', '失败：', '结果未知：', '。'),
    ].join(''),
  };
}

function firstIds(ids: readonly bigint[]): string {
  return ids.slice(0, 20).join(', ') + (ids.length > 20 ? ', …' : '');
}
