import { SessionControlError } from './errors.ts';
import type { Transport } from './transport.ts';

/**
 * Creates a transport over `fetch`, for browsers. The browser decides about TLS, and sends no cookies.
 * `fetch` does not show whether a connection was made: after a failure, the request may always have arrived.
 */
export function createTransport(): Transport {
  return async ({ method, url, headers, body, timeoutMs, signal }) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const answer = await fetch(url, {
        method,
        headers: asLatin1(headers),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        credentials: 'omit',
        redirect: 'error',
        ...(body !== undefined && { body }),
      });
      const text = await answer.text();
      return { status: answer.status, headers: Object.fromEntries(answer.headers), text };
    } catch (error) {
      signal?.throwIfAborted();
      const why = timeout.aborted ? `no answer within ${timeoutMs} ms` : String(error);
      throw new SessionControlError(`${url.origin} cannot be reached: ${why}.`, {
        kind: 'unreachable',
        mayHaveArrived: true,
        cause: error,
      });
    }
  };
}

/** `fetch` takes one character for each byte of a header value. */
function asLatin1(headers: Readonly<Record<string, string>>): Record<string, string> {
  const encoder = new TextEncoder();
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      String.fromCharCode(...encoder.encode(value)),
    ]),
  );
}
