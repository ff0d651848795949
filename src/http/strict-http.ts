import type { IncomingMessage, RequestListener } from 'node:http';
import type { Request } from 'express';
import { ServiceError, type Sentence } from '../errors.ts';

const [LINE_FEED, CARRIAGE_RETURN] = [10, 13];
const HOST = /^(\[[0-9A-Fa-f:.]+\]|[\w.~%!$&'()*+,;=-]+)(:\d{1,5})?$/;

/** The most headers of a request. */
export const MAX_HEADERS = 200;

/** Returns false if a proxy could see the end of the request elsewhere. Then no later request on the connection can be trusted. */
export function hasCertainEnd(req: IncomingMessage): boolean {
  return isVersionKnown(req) && !hasTooManyHeaders(req) && isCodingKnown(req);
}

/**
 * Refuses requests that Node's parser accepts and other parsers could read differently. Throws `malformed_http`, or `headers_too_large` if
 * there are more than 200 headers.
 */
export function requireStrictHttp(req: Request): void {
  if (hasTooManyHeaders(req)) {
    throw new ServiceError('headers_too_large', {
      'en-us': `A request has at most ${MAX_HEADERS} headers.`,
      'zh-cn': `请求最多包含${MAX_HEADERS}个请求头。`,
    });
  }
  if (!isVersionKnown(req)) {
    throw malformed('The HTTP version must be 1.0 or 1.1.', 'HTTP版本必须为1.0或1.1。');
  }
  const hosts = req.rawHeaders.filter((name, index) => index % 2 === 0 && /^host$/i.test(name));
  const isMissing = req.httpVersion === '1.1' && hosts.length === 0;
  const isWrong = req.headers.host !== undefined && !HOST.test(req.headers.host);
  if (isMissing || isWrong || hosts.length > 1) {
    throw malformed(
      'The header Host must be valid and given once.',
      '请求头Host必须存在、有效且只出现一次。',
    );
  }
  if (!isCodingKnown(req)) {
    throw malformed(
      'Transfer-Encoding must be chunked, and only with HTTP/1.1.',
      'Transfer-Encoding只能为chunked，且仅限HTTP/1.1。',
    );
  }
}

/**
 * Returns a listener that replaces an unreadable URL, or a URL with a fragment, with a path that no route has. The original URL can hold a
 * secret, and stays out of the log.
 */
export function withReadableUrl(listener: RequestListener): RequestListener {
  return (req, res) => {
    const url = req.url ?? '';
    const isReadable =
      url.startsWith('/') || (/^https?:\/\/[^/@]+\//i.test(url) && URL.canParse(url));
    // Express would ignore the text after #, which could restrict the request, such as to a dry run.
    if (!isReadable || url.includes('#')) req.url = '/(unreadable)';
    listener(req, res);
  };
}

/** Finds the end of each request in the bytes of a connection. */
export class RequestFraming {
  /** The number of body bytes still to come, or `chunked`; undefined before the head of a request is parsed. */
  #body: number | 'chunked' | undefined;

  /** Notes that the head of this request is parsed. */
  beginBody({ headers }: IncomingMessage): void {
    const length = headers['content-length'];
    this.#body = length === undefined ? 'chunked' : Number(length);
  }

  /** Notes that the request is over. */
  endBody(): void {
    this.#body = undefined;
  }

  /**
   * Returns the length of the next piece of these bytes, and the number of lines of a chunked body in it. A piece holds the end of at most
   * one request, and at most `maxLines` lines of a chunked body.
   */
  next(bytes: Buffer, maxLines: number): { readonly length: number; readonly chunkLines: number } {
    if (this.#body === undefined) return { length: endOfEmptyLine(bytes), chunkLines: 0 };
    if (this.#body === 'chunked') {
      const length = endOfEmptyLine(bytes, maxLines);
      return { length, chunkLines: countLines(bytes.subarray(0, length)) };
    }
    const length = Math.min(this.#body, bytes.length);
    this.#body -= length;
    return { length, chunkLines: 0 };
  }
}

function isVersionKnown({ httpVersion }: IncomingMessage): boolean {
  return httpVersion === '1.1' || httpVersion === '1.0';
}

// Node.js drops further headers, and a dropped header can define the end of the body.
function hasTooManyHeaders({ rawHeaders }: IncomingMessage): boolean {
  return rawHeaders.length > 2 * MAX_HEADERS;
}

// RFC 9112 section 6.1: HTTP/1.0 has no transfer codings, and a proxy could see the end of the body elsewhere.
function isCodingKnown({ headers, httpVersion }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding']?.toLowerCase();
  return coding === undefined || (coding === 'chunked' && httpVersion === '1.1');
}

function malformed(en: string, zh: string): ServiceError {
  const detail: Sentence = { 'en-us': en, 'zh-cn': zh };
  return new ServiceError('malformed_http', detail);
}

/** Returns the offset after the first empty line, or after `maxLines` lines. An empty line ends the head of a request and a chunked body. */
function endOfEmptyLine(bytes: Buffer, maxLines = Infinity): number {
  let start = 0;
  // The empty line can begin in an earlier piece.
  while (bytes[start] === LINE_FEED || bytes[start] === CARRIAGE_RETURN) start += 1;
  if (start > 0) return start;
  let lines = 0;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) {
    const next = bytes[at + 1] === CARRIAGE_RETURN ? at + 2 : at + 1;
    if (bytes[next] === LINE_FEED) return next + 1;
    lines += 1;
    if (lines === maxLines) return at + 1;
  }
  return bytes.length;
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1))
    lines += 1;
  return lines;
}
