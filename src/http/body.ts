import { parse as parseContentType } from 'content-type';
import type { Request, RequestHandler } from 'express';
import { parse as parseJson } from 'lossless-json';
import { ServiceError, type Sentence } from '../errors.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads the body as the raw bytes that came, whatever they say they are: a signature is over them. Throws `body_too_large`, without waiting
 * for the rest; who asks before they send (RFC 9110 section 10.1.1) is not invited to send what is too large.
 */
export function readBody(maxBytes: number): RequestHandler {
  return (req, res, next) => {
    const length = req.headers['content-length'];
    if (Number(length) > maxBytes) throw tooLarge(maxBytes);
    if (length === undefined && req.headers['transfer-encoding'] === undefined) {
      next();
      return;
    }
    const isAsked = /\b100-continue\b/i.test(req.headers.expect ?? '');
    // HTTP/1.0 does not know of it, and would take it for the answer.
    if (isAsked && req.httpVersion === '1.1') res.writeContinue();
    // A client may take its time over the answer.
    res.once('prefinish', () => (req.body = undefined));
    collect(req, maxBytes, (bytes) => {
      req.body = bytes;
      next(bytes === undefined ? tooLarge(maxBytes) : undefined);
    });
  };
}

/** Collects a body in one buffer: a client can send it in pieces of a byte, each of which takes hundreds by itself. */
function collect(req: Request, maxBytes: number, done: (bytes: Buffer | undefined) => void): void {
  let bytes = Buffer.alloc(0);
  let length = 0;
  const add = (piece: Buffer): void => {
    const needed = length + piece.length;
    if (needed > maxBytes) {
      req.off('data', add).off('end', end);
      // What is left of it must not stand in the way of the next request.
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
  // A client that leaves sends no end, and no answer would reach it.
  const end = (): void => {
    // The request stays until it is answered, and the listener would keep the bytes.
    req.off('data', add);
    done(bytes.subarray(0, length));
  };
  req.on('data', add).once('end', end);
}

/**
 * Puts the JSON object that the body holds in its place. Integers that can be an id become bigint, all other numbers NaN.
 * Throws `request_null` when there is no body, `media_type_unsupported`, and `parameter_wrong` for what is no JSON object.
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
    // A SyntaxError, or a RangeError when it is nested deeper than the stack goes.
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

// At most 19 digits: no more fit an int64, and longer ones take BigInt quadratic time.
function idOrNaN(digits: string): bigint | number {
  return /^(0|[1-9]\d{0,18})$/.test(digits) ? BigInt(digits) : Number.NaN;
}

/** Whether an object in this valid JSON text has a key twice. The parser lets a pair pass that has the same value twice. */
function hasRepeatedKey(text: string): boolean {
  // Each has a colon behind it; mostly there is one.
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
