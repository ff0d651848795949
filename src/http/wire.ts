import type { Response } from 'express';
import { stringify } from 'lossless-json';
import type { Capabilities } from '../domain/capabilities.ts';
import type { Session } from '../domain/session.ts';
import type { SessionPage } from '../domain/session-service.ts';
import type { ErrorCode, Language, Sentence } from '../errors.ts';
import { ERROR_TABLE, errorMessage } from './error-table.ts';
import { requestContext } from './request-context.ts';

/** Answers with this JSON; a bigint becomes an exact integer. */
export function sendJson(res: Response, status: number, body: object): void {
  const text = stringify(body) ?? '';
  res.statusCode = status;
  res.setHeader('Content-Type', 'application/json; charset=utf-8');
  // Not res.send(): where it takes the client to have this already it answers 304, but nothing here has a tag or a date.
  res.setHeader('Content-Length', Buffer.byteLength(text));
  res.end(text);
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

/** Answers with what can be done on a node. */
export function sendCapabilities(
  res: Response,
  { main, admin, server, isConnected }: Capabilities,
): void {
  const { language } = requestContext(res);
  const told = (trouble: Sentence | undefined): string => trouble?.[language] ?? 'open';
  sendJson(res, 200, {
    reachable: server !== undefined || isConnected,
    connected: isConnected,
    main_port: told(main),
    admin_port: admin === 'none' ? 'not configured' : told(admin),
    flavour: server?.flavour ?? null,
    version: server?.version ?? null,
    missing_grants: server?.missingGrants ?? null,
    rollback_view: server?.canSeeRollbacks ?? null,
    second_opinion: server?.hasSecondOpinion ?? null,
    cut_hosts: server?.cutHosts ?? null,
  });
}

// Key by key: what a session gains inside must not leak out.
function sessionBody({ id, user, host, db, command, time, state, info }: Session): object {
  return { id, user, host, db, command, time, state, info };
}
