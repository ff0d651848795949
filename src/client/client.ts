import { SessionControlError } from './errors.ts';
import { joinPages } from './joined-list.ts';
import { perform, type Credentials, type RequestSettings } from './requests.ts';
import type { Capabilities, NodeAddress, Session, Target, Termination } from './session.ts';
import { batches, bodyText, cutOff, joined, NO_TERMINATION } from './termination.ts';
import { createTransport, type TlsOptions, type Transport } from './transport.ts';
import { capabilitiesOf, pageOf, terminationOf, type SessionPage } from './wire.ts';

/** Where the service is, and who asks. */
export interface ClientOptions {
  /** Such as `https://sessions.example.com`. */
  readonly endpoint: string;
  readonly credentials: Credentials;
  /** Of the messages. */
  readonly language?: 'en-us' | 'zh-cn' | undefined;
  readonly tls?: TlsOptions | undefined;
  /** One request, without a wait that was asked for; 35 s unless given. */
  readonly timeoutMs?: number | undefined;
  /** How often what is safe to repeat is repeated; 2 unless given. */
  readonly retries?: number | undefined;
  readonly transport?: Transport | undefined;
}

export interface ListOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each page. */
  readonly onProgress?: ((read: number, total: number) => void) | undefined;
}

export interface KillOptions {
  readonly signal?: AbortSignal | undefined;
  /** Everything but the kill: the result has what would be killed, and as `failed` what the node is known to refuse. */
  readonly isDryRun?: boolean | undefined;
  /** Wait for so long until they have left the node; the service's own limit may be lower, see `waitedSeconds`. */
  readonly waitSeconds?: number | undefined;
  /** One entry more for each id, in `sessions`. Implied by `waitSeconds`. */
  readonly isDetailed?: boolean | undefined;
  /** Why, for the service's record. */
  readonly reason?: string | undefined;
  /** 1 to 56 visible ASCII characters. Only with one is a kill that got no answer sent again. */
  readonly idempotencyKey?: string | undefined;
  /** Called with what is known after each request of several. */
  readonly onProgress?: ((soFar: Termination) => void) | undefined;
}

const DEFAULT_TIMEOUT_MS = 35_000;
/** What the service takes in one request unless it is configured otherwise. */
const MAX_IDS = 1000;
const MAX_BODY_BYTES = 200_000;

/** A client of the HTTP API of session-control. Ids are bigint throughout. */
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

  /** The user sessions of a node by id, all pages joined: who was there all the time is in it once. Rejects with a SessionControlError. */
  async list(node: NodeAddress, { signal, onProgress }: ListOptions = {}): Promise<Session[]> {
    const read = (offset: number, limit: number) => this.listPage(node, { offset, limit, signal });
    return joinPages(read, onProgress);
  }

  /** One page, at most 100. Rejects with a SessionControlError. */
  async listPage(
    node: NodeAddress,
    { offset = 0, limit = 100, signal }: Page = {},
  ): Promise<SessionPage> {
    return perform(this.#settings, {
      method: 'GET',
      path: `${pathOf(node)}/processes?limit=${limit}&offset=${offset}`,
      isRepeatable: true,
      timeoutMs: this.#timeoutMs,
      signal,
      read: pageOf,
    });
  }

  /** What could be done on the node now. Rejects with a SessionControlError. */
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
   * Ends sessions, more than the service takes at once in several requests. Rejects (SessionControlError, or the signal's reason) only
   * when none can have been ended; whatever happens after that, each id is accounted for in the result.
   */
  async kill(
    node: NodeAddress,
    targets: readonly (bigint | Target)[],
    options: KillOptions = {},
  ): Promise<Termination> {
    const parts = batches(targets.map(asTarget), MAX_IDS, MAX_BODY_BYTES);
    let result = NO_TERMINATION;
    for (const [index, part] of parts.entries()) {
      const doubt = { isThere: false };
      const onDoubt = (): void => {
        doubt.isThere = true;
      };
      try {
        result = joined(result, await this.#killSome(node, part, options, index, onDoubt));
      } catch (error) {
        if (index === 0 && !doubt.isThere) throw error;
        const later = parts.slice(index + 1).flat();
        const trouble = error instanceof SessionControlError ? error : undefined;
        const message = trouble?.message ?? 'The request was interrupted.';
        result = joined(result, cutOff(part, doubt.isThere, message, trouble));
        return later.length === 0 ? result : joined(result, cutOff(later, false, message));
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
    onDoubt: () => void,
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
      onDoubt,
      read: terminationOf,
    });
  }
}

interface Page {
  readonly offset?: number | undefined;
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

function pathOf({ projectId, instanceId, nodeId }: NodeAddress): string {
  const [project, instance, node] = [projectId, instanceId, nodeId].map(encodeURIComponent);
  return `/v3/${project}/instances/${instance}/nodes/${node}`;
}

function asTarget(target: bigint | Target): Target {
  return typeof target === 'bigint' ? { id: target } : target;
}
