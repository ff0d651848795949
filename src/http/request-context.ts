import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Response } from 'express';
import type { Caller } from '../domain/caller.ts';
import type { Language, ServiceError } from '../errors.ts';
import { ERROR_TABLE } from './error-table.ts';

/** What is known of a request so far; kept beside its response. */
export interface RequestContext {
  /** 32 hex digits, in every answer's X-Request-Id. */
  requestId: string;
  language: Language;
  /** When it came in, in milliseconds of `performance.now()`. */
  receivedAt: number;
  /** Whether there was a place for it; told where metrics are wanted. */
  wasAdmitted?: boolean;
  /** The client's address, as far as the proxies in front can be believed. */
  address: string;
  /** What counts as one client for limits and lock-outs: that address, or its network. */
  network: string;
  /** The method on the wire, before an override. */
  wireMethod: string;
  /** The trace that the request is a part of, if its `traceparent` names one. */
  traceId?: string | undefined;
  caller?: Caller;
  /** SHA-256 of the body as it came, hex, if the answer is to be remembered. */
  bodyHash?: string;
  /** Whether the answer is that of an earlier request. */
  isRepeated?: boolean;
  /** Whether nobody was to be ended. */
  isDryRun?: boolean;
  /** What went wrong, for the log. */
  error?: ServiceError;
  /** What else the log says of it. */
  counts?: Readonly<Record<string, number>>;
}

/** The status of what was answered; 499, as web servers log it, when the client had gone before. */
export function statusOf(res: Response): number {
  if (res.headersSent) return res.statusCode;
  const { error } = requestContext(res);
  // Told to the connection as such, when the request could not be read.
  return error === undefined ? 499 : ERROR_TABLE[error.code].status;
}

/** Returns the context of the request that this response answers. */
export function requestContext(res: Response): RequestContext {
  return res.locals as RequestContext;
}

/** Notes that the request has come in; before Express, which keeps what is there. */
export function receiveNow(res: ServerResponse): void {
  Object.assign(res, {
    locals: { receivedAt: performance.now() } satisfies Partial<RequestContext>,
  });
}

/** Whether this request is one of a probe, which is to be answered however much there is to do. */
export function isProbe({ url }: IncomingMessage): boolean {
  return url === '/healthz' || url === '/readyz';
}

/** A new id for a request: 32 hex digits. */
export function newRequestId(): string {
  // Node makes random bytes for many UUIDs at a time; for each id alone that takes six times as long.
  return randomUUID().replaceAll('-', '');
}

/** Returns the language that the header X-Language asks for, or its alias x_language, which the PHP SDK sends. */
export function languageOf(headers: IncomingHttpHeaders): Language {
  const wanted = headers['x-language'] ?? headers['x_language'];
  return String(wanted).toLowerCase() === 'zh-cn' ? 'zh-cn' : 'en-us';
}

/** The trace that a header `traceparent` of W3C's Trace Context names; undefined when it names none, or breaks the rules. */
export function traceIdOf(header: string | readonly string[] | undefined): string | undefined {
  const parts = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/.exec(
    String(header),
  );
  if (parts === null) return undefined;
  const [, version, traceId = '', parentId = '', more] = parts;
  // Versions to come may say more behind it.
  const isKnown = version === '00' ? more === undefined : version !== 'ff';
  return isKnown && !isZero(traceId) && !isZero(parentId) ? traceId : undefined;
}

/** Who is calling, as one text. */
export function ownerOf({ caller }: Pick<RequestContext, 'caller'>): string {
  return JSON.stringify([caller?.projectId, caller?.user, caller?.proof]);
}

function isZero(digits: string): boolean {
  return /^0+$/.test(digits);
}
