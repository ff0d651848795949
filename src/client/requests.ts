import { SessionControlError } from './errors.ts';
import { signedHeaders, type AccessKey } from './signing.ts';
import type { HttpAnswer, HttpRequest, Transport } from './transport.ts';

/** A token, a function that returns a token for each request, or an access key that signs each request. */
export type Credentials = { readonly token: string | (() => Promise<string>) } | AccessKey;

/** The settings of all requests of a client. */
export interface RequestSettings {
  readonly endpoint: string;
  readonly credentials: Credentials;
  readonly language: string | undefined;
  readonly transport: Transport;
  /** The maximum number of retries of a repeatable request. */
  readonly retries: number;
}

/** One call of the API. */
export interface Call<T> {
  readonly method: 'GET' | 'DELETE';
  /** The path with its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly isRepeatable: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Called if an attempt failed and the service may have carried it out. */
  readonly onMayHaveRun?: () => void;
  /** Reads the answer. Throws a `SessionControlError` if the answer is an error. */
  readonly read: (answer: HttpAnswer) => T;
}

const FIRST_PAUSE_MS = 200;
/** If the service requires a longer pause, the call fails at once. */
const LONGEST_PAUSE_MS = 5000;

/** Makes a call, and repeats it if that is safe and may help. Rejects with a `SessionControlError`, or with the signal's reason. */
export async function perform<T>(settings: RequestSettings, call: Call<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    call.signal?.throwIfAborted();
    const request = await prepare(settings, call);
    try {
      return call.read(await settings.transport(request));
    } catch (error) {
      if (mayHaveRun(error)) call.onMayHaveRun?.();
      const pauseMs = pauseBefore(error, tries);
      if (!call.isRepeatable || tries > settings.retries || pauseMs === undefined) throw error;
      await pause(pauseMs, call.signal);
    }
  }
}

async function prepare(settings: RequestSettings, call: Call<unknown>): Promise<HttpRequest> {
  const { credentials, language } = settings;
  const url = new URL(settings.endpoint.replace(/\/+$/, '') + call.path);
  const headers = {
    'Content-Type': 'application/json',
    ...(language !== undefined && { 'X-Language': language }),
    ...call.headers,
  };
  const { method, body, timeoutMs, signal } = call;
  const proof =
    'token' in credentials
      ? { ...headers, 'X-Auth-Token': await tokenOf(credentials.token) }
      : signedHeaders({ method, url, headers, body }, credentials, new Date());
  return { method, url, headers: proof, body, timeoutMs, signal };
}

async function tokenOf(token: string | (() => Promise<string>)): Promise<string> {
  return typeof token === 'string' ? token : token();
}

/** Resolves after a time in milliseconds, or once the signal aborts. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end);
  });
}

/** Returns the pause before the next attempt in milliseconds, or undefined if no attempt can help. */
function pauseBefore(error: unknown, tries: number): number | undefined {
  if (!(error instanceof SessionControlError)) return undefined;
  if (error.kind === 'unreachable') return FIRST_PAUSE_MS * 2 ** (tries - 1);
  if (error.kind !== 'busy' || tries > 1) return undefined;
  const pauseMs = (error.retryAfterSeconds ?? 1) * 1000;
  return pauseMs <= LONGEST_PAUSE_MS ? pauseMs : undefined;
}

/** Returns true if the failed request may have ended sessions. An error with a code of the service proves the opposite. */
function mayHaveRun(error: unknown): boolean {
  if (!(error instanceof SessionControlError)) return true;
  return error.mayHaveArrived && error.code === undefined;
}
