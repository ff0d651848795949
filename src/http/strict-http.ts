import type { IncomingMessage, RequestListener } from 'node:http';
import type { Request } from 'express';
import { ServiceError, type Sentence } from '../errors.ts';

const HOST = /^(\[[0-9A-Fa-f:.]+\]|[\w.~%!$&'()*+,;=-]+)(:\d{1,5})?$/;

/** The most headers of a request. */
export const MAX_HEADERS = 200;

/** False if a proxy in front could see another end of the request, so that no further one on the connection can be trusted. */
export function hasCertainEnd(req: IncomingMessage): boolean {
  return isVersionKnown(req) && !hasTooManyHeaders(req) && isCodingKnown(req);
}

/**
 * Refuses what Node's parser lets pass and others would read differently, and more headers than are read.
 * Throws `malformed_http` and `headers_too_large`.
 */
export function requireStrictHttp(req: Request): void {
  if (hasTooManyHeaders(req)) {
    throw new ServiceError('headers_too_large', {
      'en-us': `A request has at most ${MAX_HEADERS} headers.`,
      'zh-cn': `请求最多包含${MAX_HEADERS}个请求头。`,
    });
  }
  if (!isVersionKnown(req)) {
    throw malformed('The version of HTTP must be 1.1.', 'HTTP版本必须为1.1。');
  }
  const hosts = req.rawHeaders.filter((name, index) => index % 2 === 0 && /^host$/i.test(name));
  const isMissing = req.httpVersion === '1.1' && hosts.length === 0;
  const isWrong = req.headers.host !== undefined && !HOST.test(req.headers.host);
  if (isMissing || isWrong || hosts.length > 1) {
    throw malformed(
      'The header Host must name the host, and once.',
      '请求头Host必须存在、有效且只出现一次。',
    );
  }
  if (!isCodingKnown(req)) {
    throw malformed(
      'The only Transfer-Encoding is chunked, of HTTP/1.1.',
      'Transfer-Encoding只能为chunked，且仅限HTTP/1.1。',
    );
  }
}

/** A listener to which every URL is a path: one that cannot be read, or has a fragment, is the path of no API, without what may be a secret in it. */
export function withReadableUrl(listener: RequestListener): RequestListener {
  return (req, res) => {
    const url = req.url ?? '';
    const isReadable =
      url.startsWith('/') || (/^https?:\/\/[^/@]+\//i.test(url) && URL.canParse(url));
    // What stands behind # would be overlooked, and could have asked for less.
    if (!isReadable || url.includes('#')) req.url = '/(unreadable)';
    listener(req, res);
  };
}

function isVersionKnown({ httpVersion }: IncomingMessage): boolean {
  return httpVersion === '1.1' || httpVersion === '1.0';
}

// Node drops further headers: one of them can say where the body ends.
function hasTooManyHeaders({ rawHeaders }: IncomingMessage): boolean {
  return rawHeaders.length > 2 * MAX_HEADERS;
}

// RFC 9112 section 6.1: HTTP/1.0 has no transfer codings, and a proxy could see another end of the body.
function isCodingKnown({ headers, httpVersion }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding']?.toLowerCase();
  return coding === undefined || (coding === 'chunked' && httpVersion === '1.1');
}

function malformed(en: string, zh: string): ServiceError {
  const detail: Sentence = { 'en-us': en, 'zh-cn': zh };
  return new ServiceError('malformed_http', detail);
}
