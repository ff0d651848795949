import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Response } from 'express';
import type { Caller } from '../domain/caller.ts';
import type { Language, ServiceError } from '../errors.ts';
import { ERROR_TABLE } from './error-table.ts';

/** The facts about a request, kept in `locals` of its response. */
export interface RequestContext {
  /** 32 hex digits, which the response has in the header X-Request-Id. */
  requestId: string;
  language: Language;
  /** The time of arrival, in milliseconds of `performance.now()`. */
  receivedAt: number;
  /** True if the request was admitted. Set only if there is a meter. */
  wasAdmitted?: boolean;
  /** The address of the client, as trusted proxies report it. */
  address: string;
  /** The address, or its IPv6 network, which counts as one client for limits and lock-outs. */
  network: string;
  /** The method on the wire, before an override. */
  wireMethod: string;
  /** The trace id in the header `traceparent`, if it holds a valid one. */
  traceId?: string | undefined;
  caller?: Caller;
  /** The SHA-256 of the raw body, in hex digits. Set only if the response will be remembered. */
  bodyHash?: string;
  /** True if the response repeats the response to an earlier request. */
  isRepeated?: boolean;
  /** True if the request is a dry run, which kills no session. */
  isDryRun?: boolean;
  /** The error of the request, for the log. */
  error?: ServiceError;
  /** The number of ids with each outcome, for the log. */
  counts?: Readonly<Record<string, number>>;
}

/** Returns the status of the response, or 499 (as nginx logs it) if the client disconnected before the response began. */
export function statusOf(res: Response): number {
  if (res.headersSent) return res.statusCode;
  const { error } = requestContext(res);
  // The error of an incomplete request is written to the socket, not to this response.
  return error === undefined ? 499 : ERROR_TABLE[error.code].status;
}

/** Returns the context of the request that this response answers. */
export function requestContext(res: Response): RequestContext {
  return res.locals as RequestContext;
}

/** Notes the time of arrival. Must run before Express, which keeps existing `locals`. */
export function receiveNow(res: ServerResponse): void {
  Object.assign(res, {
    locals: { receivedAt: performance.now() } satisfies Partial<RequestContext>,
  });
}

/** Returns true for the request of a probe, which is answered even under overload. */
export function isProbe({ url }: IncomingMessage): boolean {
  return url === '/healthz' || url === '/readyz';
}

/** Returns a new request id of 32 hex digits. */
export function newRequestId(): string {
  // Node.js creates random bytes for many UUIDs at a time: bytes for a single id take six times as long.
  return randomUUID().replaceAll('-', '');
}

/** Returns the language that the header X-Language names. The PHP SDK sends the alias x_language. */
export function languageOf(headers: IncomingHttpHeaders): Language {
  const wanted = headers['x-language'] ?? headers['x_language'];
  return String(wanted).toLowerCase() === 'zh-cn' ? 'zh-cn' : 'en-us';
}

/** Returns the trace id in a header `traceparent` of W3C's Trace Context, or undefined if the header is missing or malformed. */
export function traceIdOf(header: string | readonly string[] | undefined): string | undefined {
  const parts = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/.exec(
    String(header),
  );
  if (parts === null) return undefined;
  const [, version, traceId = '', parentId = '', more] = parts;
  // Later versions may append fields.
  const isKnown = version === '00' ? more === undefined : version !== 'ff';
  return isKnown && !isZero(traceId) && !isZero(parentId) ? traceId : undefined;
}

/** Returns the caller of a request as one text. */
export function ownerOf({ caller }: Pick<RequestContext, 'caller'>): string {
  return JSON.stringify([caller?.projectId, caller?.user, caller?.proof]);
}

function isZero(digits: string): boolean {
  return /^0+$/.test(digits);
}
