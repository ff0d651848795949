import { Agent as HttpAgent, request as requestHttp, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { isNativeError } from 'node:util/types';
import { SessionControlError } from './errors.ts';

/** Certificates in PEM. Without any, https is verified by the authorities that Node knows. */
export interface TlsOptions {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Do not verify who answers: for trials only. */
  readonly insecure?: boolean | undefined;
}

/** One request as it goes out. */
export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  /** Values as text; what is not Latin-1 goes out as UTF-8. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** The whole answer. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** Sends a request. Rejects with a SessionControlError of kind `unreachable`, or with the signal's reason. */
export type Transport = (request: HttpRequest) => Promise<HttpAnswer>;

/** More than a page or an answer to a thousand ids can be. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** IAM tokens alone can be 16 KB. */
const MAX_HEADER_BYTES = 256 * 1024;

/** A transport over http and https. It holds no process back from its end. */
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
  // On a connection that is kept, what the other end is just closing looks like a request that got no answer.
  const [reading, changing] = [agentsOf(true), agentsOf(false)];
  return async (request) => {
    request.signal?.throwIfAborted();
    const timeout = AbortSignal.timeout(request.timeoutMs);
    const signal = request.signal ? AbortSignal.any([request.signal, timeout]) : timeout;
    const journey = { hasConnected: false };
    try {
      const agents = request.method === 'GET' ? reading : changing;
      const answer = await send(request, agents, signal, journey);
      const text = await readAll(answer);
      return { status: answer.statusCode ?? 0, headers: answer.headers, text };
    } catch (error) {
      request.signal?.throwIfAborted();
      throw unreachable(error, request, timeout.aborted, journey.hasConnected);
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
  journey: { hasConnected: boolean },
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
      if (request.reusedSocket) journey.hasConnected = true;
      else {
        socket.once(isTls ? 'secureConnect' : 'connect', () => {
          journey.hasConnected = true;
        });
      }
    });
    request.on('error', reject);
    request.on('response', resolve);
    // Of a text, Node would send the headers in the encoding of the body.
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
  const why = isTimeout ? `no answer within ${timeoutMs} ms` : reasonOf(error);
  return new SessionControlError(`${url.origin} cannot be reached: ${why}.`, {
    kind: 'unreachable',
    mayHaveArrived,
    cause: error,
  });
}

function reasonOf(error: unknown): string {
  if (!isNativeError(error)) return String(error);
  // Of several addresses that were tried, each has an error of its own, and the whole has no message.
  const code = 'code' in error ? String(error.code) : undefined;
  return error.message || (code ?? error.name);
}

function asLatin1(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Buffer.from(value, 'utf8').toString('latin1'),
    ]),
  );
}
