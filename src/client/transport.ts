import { Agent as HttpAgent, request as requestHttp, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { isNativeError } from 'node:util/types';
import { SessionControlError } from './errors.ts';

/** Certificates and keys in PEM. Without `ca`, Node's own authorities verify the service. */
export interface TlsOptions {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Skips the check of the service's certificate: only for trials. */
  readonly insecure?: boolean | undefined;
}

/** One HTTP request. */
export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  /** Header values are sent as UTF-8. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** One complete HTTP answer. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** Sends a request. Rejects with a `SessionControlError` of kind `unreachable`, or with the signal's reason. */
export type Transport = (request: HttpRequest) => Promise<HttpAnswer>;

/** The size limit of an answer. A page, or the answer for 1,000 ids, is always smaller. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** IAM tokens alone can be 16 KB. */
const MAX_HEADER_BYTES = 256 * 1024;

/** Creates a transport over http and https. Its idle connections do not keep the process alive. */
export function createTransport(tls: TlsOptions = {}): Transport {
  const secure = {
    ...(tls.ca !== undefined && { ca: tls.ca }),
    ...(tls.cert !== undefined && { cert: tls.cert }),
    ...(tls.key !== undefined && { key: tls.key }),
    rejectUnauthorized: tls.insecure !== true,
  };
  const agentsOf = (keepAlive: boolean): Agents => ({
    http: new HttpAgent({ keepAlive }),
    https: new HttpsAgent({ keepAlive, ...secure }),
  });
  // A kept connection can close while a request is on its way: the request then looks as if it may have run.
  // Every GET can be repeated safely. A DELETE often cannot, so each request other than GET opens a new connection.
  const [kept, fresh] = [agentsOf(true), agentsOf(false)];
  return async (request) => {
    request.signal?.throwIfAborted();
    const timeout = AbortSignal.timeout(request.timeoutMs);
    const signal = request.signal ? AbortSignal.any([request.signal, timeout]) : timeout;
    const state = { hasConnected: false };
    try {
      const agents = request.method === 'GET' ? kept : fresh;
      const answer = await send(request, agents, signal, state);
      const text = await readAll(answer);
      return { status: answer.statusCode ?? 0, headers: answer.headers, text };
    } catch (error) {
      request.signal?.throwIfAborted();
      throw unreachable(error, request, timeout.aborted, state.hasConnected);
    }
  };
}

interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

function send(
  { method, url, headers, body }: HttpRequest,
  agents: Agents,
  signal: AbortSignal,
  state: { hasConnected: boolean },
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const isTls = url.protocol === 'https:';
    const options = {
      method,
      headers: {
        ...asLatin1(headers),
        ...(body !== undefined && { 'Content-Length': Buffer.byteLength(body, 'utf8') }),
      },
      maxHeaderSize: MAX_HEADER_BYTES,
      signal,
    };
    const request = isTls
      ? requestHttps(url, { ...options, agent: agents.https })
      : requestHttp(url, { ...options, agent: agents.http });
    request.on('socket', (socket) => {
      if (request.reusedSocket) state.hasConnected = true;
      else {
        socket.once(isTls ? 'secureConnect' : 'connect', () => {
          state.hasConnected = true;
        });
      }
    });
    request.on('error', reject);
    request.on('response', resolve);
    // For a string body, Node would send the headers in the encoding of the body.
    request.end(body === undefined ? undefined : Buffer.from(body, 'utf8'));
  });
}

async function readAll(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES)
      throw new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function unreachable(
  error: unknown,
  { url, timeoutMs }: HttpRequest,
  isTimeout: boolean,
  mayHaveArrived: boolean,
): SessionControlError {
  const why = isTimeout ? `no answer within ${timeoutMs} ms` : reasonOf(error, url);
  return new SessionControlError(`${url.origin} cannot be reached: ${why}.`, {
    kind: 'unreachable',
    mayHaveArrived,
    cause: error,
  });
}

function reasonOf(error: unknown, { protocol }: URL): string {
  if (!isNativeError(error)) return String(error);
  // If Node tried several addresses, the error has no message of its own, only one error for each address.
  const code = 'code' in error ? String(error.code) : undefined;
  const reason = error.message || (code ?? error.name);
  if (protocol === 'https:' && /wrong version number|packet length too long/.test(reason)) {
    return 'the port does not speak TLS, so its URL begins with http';
  }
  // A TLS server closes a connection without TLS, or answers it with an alert, which is no HTTP.
  if (protocol === 'http:' && (code === 'ECONNRESET' || code?.startsWith('HPE_INVALID'))) {
    return `${reason}; if the port speaks TLS, its URL begins with https`;
  }
  return reason;
}

function asLatin1(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Buffer.from(value, 'utf8').toString('latin1'),
    ]),
  );
}
