import type { RequestHandler, Response } from 'express';
import { matchedData } from 'express-validator';
import { readDetail, type SessionDetail } from '../domain/session-detail.ts';
import { readSummary, type SessionSummary } from '../domain/session-summary.ts';
import type { SessionService } from '../domain/session-service.ts';
import { sourceBody, waitBody } from './locks-controller.ts';
import type { RequestLimits } from './processes-controller.ts';
import { requestContext } from './request-context.ts';
import type { PathIds } from './route-steps.ts';
import { nodeKey } from './validators.ts';
import { sendJson, sessionBody, sourcesField, transactionField } from './wire.ts';

/** The handlers of calls that show more about sessions than the list. Each handler runs after its request has passed all checks. */
export interface ReadsController {
  /** Answers GET …/processes/{process_id} with everything about one session. */
  readonly session: RequestHandler<PathIds>;
  /** Answers GET …/summary with the sessions of a node in numbers. */
  readonly summary: RequestHandler<PathIds>;
}

/** Creates the handlers of calls that show more about sessions than the list. */
export function createReadsController(
  sessions: SessionService,
  { requestTimeoutMs }: Pick<RequestLimits, 'requestTimeoutMs'>,
): ReadsController {
  return {
    async session(req, res) {
      const { process_id: id } = matchedData<{ process_id: bigint }>(req);
      const deadline = requestContext(res).receivedAt + requestTimeoutMs;
      sendDetail(res, await readDetail(sessions, nodeKey(req.params), id, deadline));
    },

    async summary(req, res) {
      const deadline = requestContext(res).receivedAt + requestTimeoutMs;
      sendSummary(res, await readSummary(sessions, nodeKey(req.params), deadline));
    },
  };
}

function sendSummary(res: Response, summary: SessionSummary): void {
  const { total, byCommand, groups, other, longest, blocked, transactions, source } = summary;
  const { language } = requestContext(res);
  sendJson(res, 200, {
    total,
    by_command: Object.fromEntries(byCommand),
    groups: groups.map(({ user, host, db, command, count, maxTime }) => {
      return { user, host, db, command, count, max_time: maxTime };
    }),
    ...(other > 0 && { other }),
    longest: longest.map(sessionBody),
    ...(blocked !== undefined && { blocked }),
    ...(transactions && {
      transactions: { open: transactions.open, longest_seconds: transactions.longestSeconds },
    }),
    ...sourcesField({ source }, language),
  });
}

function sendDetail(res: Response, detail: SessionDetail): void {
  const { session, isInfoTruncated, attributes, transactions, sources } = detail;
  const { language } = requestContext(res);
  const missing = 'en-us' in attributes ? attributes : undefined;
  const shown = 'en-us' in attributes ? undefined : Object.fromEntries(attributes);
  sendJson(res, 200, {
    ...sessionBody(session),
    ...(isInfoTruncated && { info_truncated: true }),
    ...transactionField(transactions, session.id),
    ...(shown && { connection_attributes: shown }),
    waits_for: detail.waitsFor.map(waitBody),
    blocks: detail.blocks.map(waitBody),
    ...(detail.areTruncated && { truncated: true }),
    sources: {
      transaction: sourceBody(transactions.source, language),
      connection_attributes: sourceBody(missing ?? 'available', language),
      row: sourceBody(sources.row, language),
      metadata: sourceBody(sources.metadata, language),
    },
  });
}
