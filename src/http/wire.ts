import type { Response } from 'express';
import { stringify } from 'lossless-json';
import type { Session } from '../domain/session.ts';
import type { SessionPage, Termination } from '../domain/session-service.ts';
import { ServiceError, type ErrorCode, type Language, type Sentence } from '../errors.ts';
import { ERROR_TABLE, errorMessage } from './error-table.ts';
import { facts } from './request-facts.ts';

/** Answers with this JSON; a bigint becomes an exact integer. */
export function sendJson(res: Response, status: number, body: object): void {
  res.status(status).type('application/json').send(stringify(body));
}

/** The body of an error. Those of the gateway also name the request. */
export function errorBody(
  code: ErrorCode,
  detail: Sentence | undefined,
  { language, requestId }: { readonly language: Language; readonly requestId: string },
): object {
  const { error_code } = ERROR_TABLE[code];
  return {
    error_code,
    error_msg: errorMessage(code, language, detail),
    ...(error_code.startsWith('APIGW.') && { request_id: requestId }),
  };
}

/** Answers GET: all eight fields of each session, none of them null. */
export function sendSessions(res: Response, { sessions, total }: SessionPage): void {
  sendJson(res, 200, { processes: sessions.map(sessionBody), total_count: total });
}

/** Answers DELETE: 200 when every id was killed or not found, else 500 with all four kinds. */
export function sendTermination(res: Response, termination: Termination): void {
  const { killed, notFound, failed, unknown, trouble } = termination;
  facts(res).counts = {
    killed: killed.length,
    not_found: notFound.length,
    failed: failed.length,
    unknown: unknown.length,
  };
  const done = { processes_killed: killed, processes_not_found: notFound };
  if (failed.length === 0 && unknown.length === 0) {
    sendJson(res, 200, done);
    return;
  }
  facts(res).error = trouble ?? new ServiceError('node_unavailable');
  sendJson(res, 500, {
    ...errorBody('node_unavailable', incomplete(termination), facts(res)),
    ...done,
    processes_failed: failed,
    processes_unknown: unknown,
  });
}

// Key by key: what a session gains inside must not leak out.
function sessionBody({ id, user, host, db, command, time, state, info }: Session): object {
  return { id, user, host, db, command, time, state, info };
}

function incomplete({ killed, notFound, failed, unknown, trouble }: Termination): Sentence {
  const sentences = (
    name: Language,
    failedAs: string,
    unknownAs: string,
    end: string,
  ): string[] => [
    ...(failed.length > 0 ? [`${failedAs}${firstIds(failed)}${end}`] : []),
    ...(unknown.length > 0 ? [`${unknownAs}${firstIds(unknown)}${end}`] : []),
    ...(trouble?.detail ? [trouble.detail[name]] : []),
  ];
  return {
    'en-us': [
      `${killed.length} killed, ${notFound.length} not found, ${failed.length} failed, ${unknown.length} unknown.`,
      ...sentences('en-us', 'Failed: ', 'Unknown: ', '.'),
    ].join(' '),
    'zh-cn': [
      `已终止${killed.length}个，未找到${notFound.length}个，失败${failed.length}个，结果未知${unknown.length}个。`,
      ...sentences('zh-cn', '失败：', '结果未知：', '。'),
    ].join(''),
  };
}

function firstIds(ids: readonly bigint[]): string {
  return ids.slice(0, 20).join(', ') + (ids.length > 20 ? ', …' : '');
}
