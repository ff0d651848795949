import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Response } from 'express';
import type { Caller } from '../domain/caller.ts';
import type { Language, ServiceError } from '../errors.ts';

/** What is known of a request so far; kept beside its response. */
export interface RequestFacts {
  /** 32 hex digits, in every answer's X-Request-Id. */
  requestId: string;
  language: Language;
  /** When it came in, in milliseconds of `performance.now()`. */
  receivedAt: number;
  /** The client's address, as far as the proxies in front can be believed. */
  address: string;
  /** The method on the wire, before an override. */
  wireMethod: string;
  caller?: Caller;
  /** SHA-256 of the body as it came, hex. */
  bodyHash?: string;
  /** Whether the answer is that of an earlier request. */
  isRepeated?: boolean;
  /** What went wrong, for the log. */
  error?: ServiceError;
  /** What else the log says of it. */
  counts?: Readonly<Record<string, number>>;
}

/** The facts of the request that this response answers. */
export function facts(res: Response): RequestFacts {
  return res.locals as RequestFacts;
}

/** Notes that the request has come in; before Express, which keeps what is there. */
export function receiveNow(res: ServerResponse): void {
  Object.assign(res, { locals: { receivedAt: performance.now() } satisfies Partial<RequestFacts> });
}

/** A new id for a request: 32 hex digits. */
export function newRequestId(): string {
  // Node makes random bytes for many UUIDs at a time; for each id alone that takes six times as long.
  return randomUUID().replaceAll('-', '');
}

/** The language that a header `X-Language` of this text asks for. */
export function languageOf(header: string | readonly string[] | undefined): Language {
  return String(header).toLowerCase() === 'zh-cn' ? 'zh-cn' : 'en-us';
}

/** Who is calling, as one text. */
export function ownerOf({ caller }: RequestFacts): string {
  return JSON.stringify([caller?.projectId, caller?.user, caller?.proof]);
}
