import { parse as parseContentType } from 'content-type';
import type { Request, RequestHandler } from 'express';
import { parse as parseJson } from 'lossless-json';
import { ServiceError, type Sentence } from '../errors.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Returns a handler that reads the body as raw bytes of any media type: a signature covers these bytes. Throws `body_too_large` as soon as
 * the body exceeds `maxBytes`. A client that sends `Expect: 100-continue` (RFC 9110 section 10.1.1) gets no 100 if its Content-Length
 * is too large.
 */
export function readBody(maxBytes: number): RequestHandler {
  return (req, res, next) => {
    const length = req.headers['content-length'];
    if (Number(length) > maxBytes) throw tooLarge(maxBytes);
    if (length === undefined && req.headers['transfer-encoding'] === undefined) {
      next();
      return;
    }
    const isContinueExpected = /\b100-continue\b/i.test(req.headers.expect ?? '');
    // A client of HTTP/1.0 would take the 100 for the response.
    if (isContinueExpected && req.httpVersion === '1.1') res.writeContinue();
    // Frees the body early: the client can take long to read the response.
    res.once('prefinish', () => (req.body = undefined));
    collect(req, maxBytes, (bytes) => {
      req.body = bytes;
      next(bytes === undefined ? tooLarge(maxBytes) : undefined);
    });
  };
}

/**
 * Collects a body in one buffer, because a piece of one byte takes hundreds of bytes in a buffer of its own. Calls `done` with the body,
 * or with undefined if the body exceeds `maxBytes`.
 */
function collect(req: Request, maxBytes: number, done: (bytes: Buffer | undefined) => void): void {
  let bytes = Buffer.alloc(0);
  let length = 0;
  const add = (piece: Buffer): void => {
    const needed = length + piece.length;
    if (needed > maxBytes) {
      req.off('data', add).off('end', end);
      // Discards the rest of the body, so that the connection can carry the next request.
      req.resume();
      done(undefined);
      return;
    }
    if (needed > bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(maxBytes, Math.max(needed, 2 * length)));
      bytes.copy(larger, 0, 0, length);
      bytes = larger;
    }
    length += piece.copy(bytes, length);
  };
  // If the client disconnects, `end` never comes and `done` is never called: no response could reach the client.
  const end = (): void => {
    // The request lives until its response is sent, and its listener would keep the bytes in memory.
    req.off('data', add);
    done(bytes.subarray(0, length));
  };
  req.on('data', add).once('end', end);
}

/**
 * Replaces the bytes in `req.body` with the JSON object in them. Integers that can be an id become bigint, all other numbers NaN.
 * Throws `request_null` if there is no body, and `media_type_unsupported` if the headers declare another type, charset or encoding. Throws
 * `parameter_wrong` if the body is not a JSON object.
 */
export function requireJsonObject<Params>(req: Request<Params>): void {
  const bytes: unknown = req.body;
  const encoding = req.headers['content-encoding'] ?? 'identity';
  if (!Buffer.isBuffer(bytes) || bytes.length === 0) throw new ServiceError('request_null');
  if (encoding.toLowerCase() !== 'identity') {
    throw mediaType('The body must not be compressed.', '请求体不能压缩。');
  }
  const types = req.rawHeaders.filter(
    (name, index) => index % 2 === 0 && /^content-type$/i.test(name),
  );
  requireJsonType(types.length === 1 ? req.headers['content-type'] : undefined);
  req.body = jsonObject(bytes);
}

function requireJsonType(header: string | undefined): void {
  const { type, parameters } = parseContentType(header ?? '');
  if (type.toLowerCase() !== 'application/json') {
    throw mediaType(
      'The header Content-Type must be application/json, given once.',
      '请求头Content-Type必须为application/json，且只能出现一次。',
    );
  }
  if (!/^utf-?8$/i.test(parameters['charset'] ?? 'utf-8')) {
    throw mediaType('The charset of the body must be utf-8.', '请求体的字符集必须为utf-8。');
  }
}

function jsonObject(bytes: Buffer): object {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw wrong({ 'en-us': 'The body is not valid UTF-8.', 'zh-cn': '请求体不是有效的UTF-8。' });
  }
  let value: unknown;
  try {
    value = parseJson(text, undefined, { parseNumber: idOrNaN });
  } catch {
    // A SyntaxError, or a RangeError if the JSON is nested too deeply for the stack.
    throw wrong({ 'en-us': 'The body is not valid JSON.', 'zh-cn': '请求体不是有效的JSON。' });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong({ 'en-us': 'The body must be a JSON object.', 'zh-cn': '请求体必须是JSON对象。' });
  }
  if (hasRepeatedKey(text)) {
    throw wrong({
      'en-us': 'A JSON object must not hold the same key twice.',
      'zh-cn': '同一JSON对象中的键不能重复。',
    });
  }
  return value;
}

// At most 19 digits: an int64 has no more, and BigInt takes quadratic time for longer texts.
function idOrNaN(digits: string): bigint | number {
  return /^(0|[1-9]\d{0,18})$/.test(digits) ? BigInt(digits) : Number.NaN;
}

/** Returns true if an object in this valid JSON text has a key twice. The parser accepts a repeated key with equal values. */
function hasRepeatedKey(text: string): boolean {
  // A colon follows each key, and most bodies have one key.
  if (text.indexOf(':') === text.lastIndexOf(':')) return false;
  const open: (Set<string> | undefined)[] = [];
  for (const [token, key] of text.matchAll(
    /("[^"\\]*(?:\\.[^"\\]*)*")\s*:|"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]]/g,
  )) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (key !== undefined) {
      const name = JSON.parse(key) as string;
      const keys = open.at(-1);
      if (keys?.has(name)) return true;
      keys?.add(name);
    }
  }
  return false;
}

function wrong(detail: Sentence): ServiceError {
  return new ServiceError('parameter_wrong', detail);
}

function tooLarge(maxBytes: number): ServiceError {
  return new ServiceError('body_too_large', {
    'en-us': `The body must have at most ${maxBytes} bytes.`,
    'zh-cn': `请求体最多为${maxBytes}字节。`,
  });
}

function mediaType(en: string, zh: string): ServiceError {
  return new ServiceError('media_type_unsupported', { 'en-us': en, 'zh-cn': zh });
}
