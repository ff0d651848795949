import { createHash, createHmac } from 'node:crypto';

/** An access key. A temporary key also has a security token. */
export interface AccessKey {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly securityToken?: string | undefined;
}

/** The parts of a request that are signed. */
export interface Signable {
  readonly method: string;
  readonly url: URL;
  /** All headers are signed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

const ALGORITHM = 'SDK-HMAC-SHA256';

/**
 * Signs a request with SDK-HMAC-SHA256. Returns its headers together with Host, X-Sdk-Date, X-Security-Token and Authorization.
 */
export function signedHeaders(request: Signable, key: AccessKey, at: Date): Record<string, string> {
  const date = at.toISOString().replace(/[-:]|\.\d+/g, '');
  const headers: Record<string, string> = {
    ...request.headers,
    Host: request.url.host,
    'X-Sdk-Date': date,
    ...(key.securityToken !== undefined && { 'X-Security-Token': key.securityToken }),
  };
  const lines = Object.entries(headers)
    .map(([name, value]): [string, string] => [name.toLowerCase(), value.trim()])
    .sort(byName);
  const names = lines.map(([name]) => name).join(';');
  const canonicalRequest = [
    request.method,
    canonicalPath(request.url.pathname),
    canonicalQuery(request.url.searchParams),
    lines.map(([name, value]) => `${name}:${value}\n`).join(''),
    names,
    sha256(request.body ?? ''),
  ].join('\n');
  const toSign = [ALGORITHM, date, sha256(canonicalRequest)].join('\n');
  const signature = createHmac('sha256', key.secretKey).update(toSign).digest('hex');
  return {
    ...headers,
    Authorization: `${ALGORITHM} Access=${key.accessKey}, SignedHeaders=${names}, Signature=${signature}`,
  };
}

function canonicalPath(path: string): string {
  const encoded = path
    .split('/')
    .map((segment) => encode(decodeURIComponent(segment)))
    .join('/');
  return encoded.endsWith('/') ? encoded : `${encoded}/`;
}

function canonicalQuery(parameters: URLSearchParams): string {
  return [...parameters]
    .sort((one, other) => byName(one, other) || compare(one[1], other[1]))
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&');
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function byName([one]: readonly [string, string], [other]: readonly [string, string]): number {
  return compare(one, other);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
