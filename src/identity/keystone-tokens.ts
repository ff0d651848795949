import { LRUCache } from 'lru-cache';
import {
  grantedActions,
  unauthenticated,
  type Caller,
  type GrantedAction,
} from '../domain/caller.ts';
import type { Deadline } from '../domain/deadline.ts';
import { asServiceError, ServiceError } from '../errors.ts';
import { sha256Hex } from './canonical-request.ts';

/** The address of IAM, and the actions that its roles grant. */
export interface KeystoneSettings {
  /** The base URL, without `/v3`. */
  readonly endpoint: string;
  /** The longest time that an answer of IAM is cached, in seconds. A revoked token stays valid for at most this time. */
  readonly cacheSeconds: number;
  /** The time limit of one lookup, a retry included, in milliseconds. */
  readonly timeoutMs: number;
  /** The service's own token. Without it, each request to IAM carries the caller's token as its credential. */
  readonly serviceToken: string | undefined;
  readonly roleActions: Readonly<Record<string, readonly GrantedAction[]>>;
}

type Answer =
  | { readonly caller: Caller; readonly expiresAt: Deadline }
  | { readonly caller: undefined; readonly reason: string };

/** The token to validate, and the settings of the IAM that validates it. */
type Asked = readonly [string, KeystoneSettings];

const MAX_TOKENS = 10_000;
const MAX_NEGATIVE_CACHE_MS = 5000;
const MAX_ANSWER_BYTES = 1_048_576;

/** The callers that have a token of an IAM with Keystone v3. */
export class KeystoneTokens {
  #settings: KeystoneSettings | undefined;
  #answers: LRUCache<string, Answer, Asked>;
  readonly #onAsked: (wasKnown: boolean) => void;

  /** Without settings no token is valid. Calls `onAsked` for each token, with true if the answer of IAM was cached. */
  constructor(
    settings: KeystoneSettings | undefined,
    onAsked: (wasKnown: boolean) => void = () => undefined,
  ) {
    this.#settings = settings;
    this.#onAsked = onAsked;
    this.#answers = this.#newCache();
  }

  // The keys are hashes, so that no token stays in memory. `fetch` joins concurrent lookups of one token.
  #newCache(): LRUCache<string, Answer, Asked> {
    return new LRUCache<string, Answer, Asked>({
      max: MAX_TOKENS,
      fetchMethod: async (_hash, _stale, { context: [token, settings], options }) => {
        const asked = performance.now();
        const answer = await lookUp(token, settings);
        const limit = settings.cacheSeconds * 1000;
        const most = answer.caller === undefined ? Math.min(limit, MAX_NEGATIVE_CACHE_MS) : limit;
        // The answer may be as old as the request to IAM. A time to live of 0 would mean no expiry.
        options.ttl = Math.max(1, most - (performance.now() - asked));
        return answer;
      },
    });
  }

  /** Replaces the settings, and drops the answers that were cached under the old ones. */
  replace(settings: KeystoneSettings | undefined): void {
    this.#settings = settings;
    // Clearing the old cache would abort the lookups in progress.
    this.#answers = this.#newCache();
  }

  /** Returns the caller that the token proves. Throws `unauthenticated`, `iam_unavailable`, `service_token_refused`. */
  async verify(token: string): Promise<Caller> {
    const settings = this.#settings;
    if (settings === undefined || !/^[\x21-\x7e]+$/.test(token)) {
      throw unauthenticated('decrypt token fail');
    }
    const hash = sha256Hex(token);
    this.#onAsked(this.#answers.has(hash));
    const answer = await this.#answers
      .forceFetch(hash, { context: [token, settings] })
      .catch((cause: unknown) => {
        // An error other than a `ServiceError` means that the full cache evicted the lookup in progress.
        throw asServiceError(cause, 'iam_unavailable');
      });
    if (answer.caller === undefined) throw unauthenticated(answer.reason);
    if (answer.expiresAt <= performance.now()) throw unauthenticated('token expires');
    return answer.caller;
  }
}

async function lookUp(token: string, settings: KeystoneSettings): Promise<Answer> {
  const { endpoint, serviceToken, timeoutMs } = settings;
  const headers = { 'X-Auth-Token': serviceToken ?? token, 'X-Subject-Token': token };
  const signal = AbortSignal.timeout(timeoutMs);
  // A redirect would send both tokens to another server.
  const ask = () =>
    fetch(`${endpoint}/v3/auth/tokens?nocatalog=true`, { headers, signal, redirect: 'error' });
  try {
    const response = await ask().catch((error: unknown) => {
      if (signal.aborted) throw error;
      return ask();
    });
    const now = clockOf(response.headers.get('date'));
    return answerOf(response.status, await readText(response), settings, now);
  } catch (cause) {
    throw asServiceError(cause, 'iam_unavailable');
  }
}

function answerOf(status: number, text: string, settings: KeystoneSettings, now: number): Answer {
  if (status === 200) return callerOf(text, settings.roleActions, now);
  if (status === 404) return { caller: undefined, reason: 'decrypt token fail' };
  if (status !== 401 && status !== 403) throw new Error(`IAM answered ${status}`);
  if (settings.serviceToken === undefined) {
    return { caller: undefined, reason: 'decrypt token fail' };
  }
  throw new ServiceError('service_token_refused');
}

/**
 * Returns the time of IAM in milliseconds since 1970. The date in IAM's response has whole seconds, and our own clock refines it. Without a
 * date, returns our own time.
 */
function clockOf(date: string | null): number {
  const [own, second] = [Date.now(), Date.parse(date ?? '')];
  return Number.isNaN(second) ? own : Math.min(Math.max(own, second), second + 999);
}

function callerOf(text: string, roleActions: KeystoneSettings['roleActions'], now: number): Answer {
  const { token } = JSON.parse(text) as { token?: KeystoneToken };
  const leftMs = Date.parse(token?.expires_at ?? '') - now;
  const { id, name } = token?.user ?? {};
  const user = name ?? id;
  if (Number.isNaN(leftMs) || typeof user !== 'string') {
    throw new Error('IAM answered with a token that the service cannot read');
  }
  if (leftMs <= 0) return { caller: undefined, reason: 'token expires' };
  const roles = (token?.roles ?? []).map(({ name }) => name ?? '');
  const granted = roles.flatMap((role) =>
    Object.hasOwn(roleActions, role) ? (roleActions[role] ?? []) : [],
  );
  // A token without a project proves no project.
  const projectId = token?.project?.id ?? '';
  // Users in different domains can share a name, but never an id.
  const proof = id === undefined ? 'IAM token' : `IAM token of ${id}`;
  const expiresAt = performance.now() + leftMs;
  return { expiresAt, caller: { user, projectId, actions: grantedActions(granted), proof } };
}

interface KeystoneToken {
  readonly expires_at?: string;
  readonly user?: { readonly id?: string; readonly name?: string };
  readonly project?: { readonly id?: string };
  readonly roles?: readonly { readonly name?: string }[];
}

async function readText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    parts.push(part as Uint8Array);
    bytes += (part as Uint8Array).length;
    if (bytes > MAX_ANSWER_BYTES)
      throw new Error(`IAM answered with more than ${MAX_ANSWER_BYTES} bytes`);
  }
  return Buffer.concat(parts).toString('utf8');
}
