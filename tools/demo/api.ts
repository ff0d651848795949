import { isNativeError } from 'node:util/types';
import { parse } from 'lossless-json';
import { complaint } from '../server-binaries.ts';

/** A session as the API lists it. */
export interface ListedSession {
  readonly id: bigint;
  readonly user: string;
  readonly host: string;
  readonly db: string;
  readonly command: string;
  readonly time: bigint;
  readonly state: string;
  readonly info: string;
}

/** An answer of the API. */
export interface ApiAnswer {
  readonly status: number;
  readonly requestId: string;
  /** The body as it came. */
  readonly text: string;
}

/** One request. What is shown as a curl line is what is sent. */
export interface ApiRequest {
  readonly method: 'GET' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

const TIMEOUT_MS = 40_000;

/** Asks for the node's sessions, up to 100 from the `offset`th on. */
export function listRequest(url: string, token: string, offset = 0): ApiRequest {
  const query = offset === 0 ? '' : `?offset=${offset}`;
  return { method: 'GET', url: `${url}${query}`, headers: { 'X-Auth-Token': token } };
}

/** Asks to end the sessions that have these ids. */
export function killRequest(url: string, token: string, ids: readonly bigint[]): ApiRequest {
  return {
    method: 'DELETE',
    url,
    headers: { 'X-Auth-Token': token, 'Content-Type': 'application/json' },
    body: `{"processes":[${ids.join(',')}]}`,
  };
}

/** The request as a line for a shell. Nothing in it holds a quote. */
export function curlOf({ method, url, headers, body }: ApiRequest): string {
  const options = Object.entries(headers).map(([name, value]) => `-H '${name}: ${value}'`);
  const parts = [
    `curl ${[...(method === 'GET' ? [] : [`-X ${method}`]), ...options].join(' ')}`,
    ...(body === undefined ? [] : [`-d '${body}'`]),
    `'${url}'`,
  ];
  return parts.join(' \\\n  ');
}

/** Sends it. Rejects when no answer comes. */
export async function send({ method, url, headers, body }: ApiRequest): Promise<ApiAnswer> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const answer = await fetch(url, {
      method,
      headers,
      signal,
      ...(body !== undefined && { body }),
    });
    const requestId = answer.headers.get('X-Request-Id') ?? '';
    return { status: answer.status, requestId, text: await answer.text() };
  } catch (error) {
    // `fetch failed` has its reason inside.
    const reason = complaint(isNativeError(error) ? (error.cause ?? error) : error);
    throw new Error(`The service gave no answer: ${reason}`);
  }
}

/** What is in a body; its integers become bigint, exactly. */
export function contentOf({ text }: ApiAnswer): unknown {
  return parse(text, undefined, { parseNumber: (digits) => BigInt(digits) });
}
