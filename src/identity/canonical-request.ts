import { hash } from 'node:crypto';
import type { RequestOnWire } from '../domain/caller.ts';

/** Headers that carry a credential. Their values never appear in a response. */
const CREDENTIAL_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'x-auth-token',
  'x-subject-token',
  'x-security-token',
]);

/**
 * Returns the canonical request, which is the text that a signature covers. Its parts are those of Huawei Cloud's API gateway and SDKs: method,
 * path, query, signed headers, their names, and the hash of the body. Throws a URIError if the path or the query cannot be decoded.
 */
export function canonicalRequest(
  request: RequestOnWire,
  signedHeaders: string,
  show: (name: string, value: string) => string = (_name, value) => value,
): string {
  const [path = '', ...query] = request.target.split('?');
  return [
    request.method.toUpperCase(),
    canonicalPath(path),
    canonicalQuery(query.join('?')),
    canonicalHeaders(request, signedHeaders, show),
    signedHeaders,
    sha256Hex(request.body),
  ].join('\n');
}

/** Returns the canonical request for a caller to compare: without credentials, with `|` for newlines, at most 4,096 characters. */
export function showCanonicalRequest(request: RequestOnWire, signedHeaders: string): string {
  const hide = (name: string, value: string): string =>
    CREDENTIAL_HEADERS.has(name) ? '***' : value;
  return canonicalRequest(request, signedHeaders, hide).replaceAll('\n', '|').slice(0, 4096);
}

/** Returns the values of a header in the order of the request. The name must be in lower case. */
export function headerValues({ rawHeaders }: RequestOnWire, name: string): readonly string[] {
  let index = INDEXES.get(rawHeaders);
  if (index === undefined) {
    index = indexByName(rawHeaders);
    INDEXES.set(rawHeaders, index);
  }
  return index.get(name) ?? [];
}

/** Returns the SHA-256 hash in hex digits. */
export function sha256Hex(bytes: Buffer | string): string {
  return hash('sha256', bytes);
}

// Without this index, an unauthenticated request with many headers could force a quadratic search.
const INDEXES = new WeakMap<readonly string[], ReadonlyMap<string, readonly string[]>>();

function indexByName(rawHeaders: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const index = new Map<string, string[]>();
  rawHeaders.forEach((text, at) => {
    if (at % 2 === 1) return;
    const name = text.toLowerCase();
    const value = rawHeaders[at + 1] ?? '';
    const values = index.get(name);
    if (values === undefined) index.set(name, [value]);
    else values.push(value);
  });
  return index;
}

function canonicalPath(path: string): string {
  const segments = path.split('/').map((segment) => encode(decodeURIComponent(segment)));
  const joined = segments.join('/');
  return joined.endsWith('/') ? joined : `${joined}/`;
}

function canonicalQuery(query: string): string {
  if (query === '') return '';
  const pairs = query.split('&').map((pair): [string, string] => {
    const [name = '', ...value] = pair.split('=');
    return [decodeURIComponent(name), decodeURIComponent(value.join('='))];
  });
  pairs.sort(([a, x], [b, y]) => compare(a, b) || compare(x, y));
  return pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&');
}

function canonicalHeaders(
  request: RequestOnWire,
  signedHeaders: string,
  show: (name: string, value: string) => string,
): string {
  return signedHeaders
    .split(';')
    .flatMap((signed) => {
      const name = signed.toLowerCase();
      const values = headerValues(request, name).map((value) => show(name, utf8(value).trim()));
      return (values.length > 0 ? values.sort(compare) : ['']).map((value) => `${name}:${value}\n`);
    })
    .join('');
}

// Node.js reads header bytes as Latin-1; a client signs them as UTF-8.
function utf8(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8');
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
