import { SessionControlError } from './errors.ts';
import { joinPages } from './joined-list.ts';
import { perform, type Credentials, type RequestSettings } from './requests.ts';
import type { Capabilities, NodeAddress, Session, SessionDetail } from './session.ts';
import type { SessionSummary, Target, Termination } from './session.ts';
import { batches, bodyText, joined, NO_TERMINATION, unanswered } from './termination.ts';
import { createTransport, type TlsOptions, type Transport } from './transport.ts';
import { detailOf, summaryOf } from './read-wire.ts';
import { capabilitiesOf, pageOf, terminationOf, type SessionPage } from './wire.ts';

/** The service, the credentials of the caller, and how requests are sent. */
export interface ClientOptions {
  /** The URL of the service, such as `https://sessions.example.com`. */
  readonly endpoint: string;
  readonly credentials: Credentials;
  /** The language of error messages from the service. */
  readonly language?: 'en-us' | 'zh-cn' | undefined;
  readonly tls?: TlsOptions | undefined;
  /** The timeout of one request in milliseconds, 35,000 by default. `waitSeconds` comes on top. */
  readonly timeoutMs?: number | undefined;
  /** How often a request that is safe to repeat is sent again, 2 by default. */
  readonly retries?: number | undefined;
  readonly transport?: Transport | undefined;
}

/** The options of a list. */
export interface ListOptions {
  /** Fills `transaction` of each session. */
  readonly withTransactions?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each page with the number of sessions read and the total that the service reports. */
  readonly onProgress?: ((read: number, total: number) => void) | undefined;
}

/** The options of a kill. */
export interface KillOptions {
  readonly signal?: AbortSignal | undefined;
  /** Sends no KILL. The result has the ids that a kill would end, and in `failed` those that the node would refuse. */
  readonly isDryRun?: boolean | undefined;
  /** Waits at most this time until the sessions have left the node. The service may wait less: see `waitedSeconds`. */
  readonly waitSeconds?: number | undefined;
  /** Fills `sessions` of the result with one entry per id. `waitSeconds` implies this. */
  readonly isDetailed?: boolean | undefined;
  /** The reason, for the audit record of the service. 1 to 256 visible characters. */
  readonly reason?: string | undefined;
  /** 1 to 56 visible ASCII characters. A kill without a key is not sent again if no answer comes. */
  readonly idempotencyKey?: string | undefined;
  /** Called after each request with the outcomes so far. */
  readonly onProgress?: ((soFar: Termination) => void) | undefined;
}

const DEFAULT_TIMEOUT_MS = 35_000;
/** The default limit of the service for one request. */
const MAX_IDS = 1000;
const MAX_BODY_BYTES = 200_000;

/** A client of the HTTP API of session-control. All ids are bigints. */
export class SessionControlClient {
  readonly #settings: RequestSettings;
  readonly #timeoutMs: number;

  constructor(options: ClientOptions) {
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#settings = {
      endpoint: options.endpoint,
      credentials: options.credentials,
      language: options.language,
      transport: options.transport ?? createTransport(options.tls),
      retries: options.retries ?? 2,
    };
  }

  /**
   * Reads all user sessions of a node, in the order of their ids. A session that stays during the read is in the result exactly once.
   * Rejects with a `SessionControlError`, or with the signal's reason.
   */
  async list(node: NodeAddress, options: ListOptions = {}): Promise<Session[]> {
    const { signal, withTransactions } = options;
    const read = (offset: number, limit: number) =>
      this.listPage(node, { offset, limit, signal, withTransactions });
    return joinPages(read, options.onProgress);
  }

  /** Reads one page of at most 100 sessions. Rejects like `list`. */
  async listPage(
    node: NodeAddress,
    { offset = 0, limit = 100, signal, withTransactions = false }: Page = {},
  ): Promise<SessionPage> {
    return perform(this.#settings, {
      method: 'GET',
      path: `${pathOf(node)}/processes?limit=${limit}&offset=${offset}${withTransactions ? '&with=transaction' : ''}`,
      isRepeatable: true,
      timeoutMs: this.#timeoutMs,
      signal,
      read: pageOf,
    });
  }

  /** Returns the user sessions of a node in numbers. Rejects like `list`. */
  async summary(node: NodeAddress, signal?: AbortSignal): Promise<SessionSummary> {
    return perform(this.#settings, {
      method: 'GET',
      path: `${pathOf(node)}/summary`,
      isRepeatable: true,
      timeoutMs: this.#timeoutMs,
      signal,
      read: summaryOf,
    });
  }

  /** Returns one session with its whole statement and its locks. Rejects like `list`, also if the node has no such user session. */
  async show(node: NodeAddress, id: bigint, signal?: AbortSignal): Promise<SessionDetail> {
    return perform(this.#settings, {
      method: 'GET',
      path: `${pathOf(node)}/processes/${id}`,
      isRepeatable: true,
      timeoutMs: this.#timeoutMs,
      signal,
      read: detailOf,
    });
  }

  /** Returns what the service can do on the node. Rejects like `list`. */
  async capabilities(node: NodeAddress, signal?: AbortSignal): Promise<Capabilities> {
    return perform(this.#settings, {
      method: 'GET',
      path: `${pathOf(node)}/capabilities`,
      isRepeatable: true,
      timeoutMs: this.#timeoutMs,
      signal,
      read: capabilitiesOf,
    });
  }

  /**
   * Ends sessions, in several requests if they are too many for one.
   * Rejects like `list`, but only if no session can have been ended; in all other cases the result accounts for each id.
   */
  async kill(
    node: NodeAddress,
    targets: readonly (bigint | Target)[],
    options: KillOptions = {},
  ): Promise<Termination> {
    const parts = batches(targets.map(asTarget), MAX_IDS, MAX_BODY_BYTES);
    let result = NO_TERMINATION;
    for (const [index, part] of parts.entries()) {
      const state = { mayHaveRun: false };
      const onMayHaveRun = (): void => {
        state.mayHaveRun = true;
      };
      try {
        result = joined(result, await this.#killSome(node, part, options, index, onMayHaveRun));
      } catch (error) {
        if (index === 0 && !state.mayHaveRun) throw error;
        const later = parts.slice(index + 1).flat();
        const trouble = error instanceof SessionControlError ? error : undefined;
        const message = trouble?.message ?? 'The request was interrupted.';
        result = joined(result, unanswered(part, state.mayHaveRun, message, trouble));
        return later.length === 0 ? result : joined(result, unanswered(later, false, message));
      }
      options.onProgress?.(result);
    }
    return result;
  }

  #killSome(
    node: NodeAddress,
    targets: readonly Target[],
    options: KillOptions,
    index: number,
    onMayHaveRun: () => void,
  ): Promise<Termination> {
    const { waitSeconds, isDryRun, reason, idempotencyKey, signal } = options;
    const prefer = [
      ...(waitSeconds === undefined ? [] : [`wait=${waitSeconds}`]),
      ...(waitSeconds !== undefined || options.isDetailed ? ['return=representation'] : []),
    ].join(', ');
    return perform(this.#settings, {
      method: 'DELETE',
      path: `${pathOf(node)}/processes${isDryRun ? '?dry_run=true' : ''}`,
      headers: {
        ...(prefer !== '' && { Prefer: prefer }),
        ...(reason !== undefined && { 'X-Kill-Reason': reason }),
        ...(idempotencyKey !== undefined && { 'Idempotency-Key': `${idempotencyKey}-${index}` }),
      },
      body: bodyText(targets),
      isRepeatable: isDryRun === true || idempotencyKey !== undefined,
      timeoutMs: this.#timeoutMs + (waitSeconds ?? 0) * 1000,
      signal,
      onMayHaveRun,
      read: terminationOf,
    });
  }
}

interface Page {
  readonly offset?: number | undefined;
  readonly limit?: number | undefined;
  readonly withTransactions?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

function pathOf({ projectId, instanceId, nodeId }: NodeAddress): string {
  const [project, instance, node] = [projectId, instanceId, nodeId].map(encodeURIComponent);
  return `/v3/${project}/instances/${instance}/nodes/${node}`;
}

function asTarget(target: bigint | Target): Target {
  return typeof target === 'bigint' ? { id: target } : target;
}
