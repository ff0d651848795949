import { SessionControlError } from './errors.ts';
import { historyPageOf, readHistory, type HistoryOptions, type KillHistory } from './history.ts';
import { blockersOf, lockCauseOf, type Blockers, type LockCause } from './locks.ts';
import { joinPages } from './joined-list.ts';
import { nodePageOf, type NodeEntry, type NodePage, type ProjectNodes } from './nodes.ts';
import { perform, type Credentials, type RequestSettings } from './requests.ts';
import type { Capabilities, NodeAddress, Session } from './session.ts';
import type { SessionSummary, Target, Termination } from './session.ts';
import { detailOf, summaryOf, type SessionDetail } from './session-reads.ts';
import { batches, bodyText, joined, NO_TERMINATION, unanswered } from './termination.ts';
import { createTransport, type HttpAnswer } from './transport.ts';
import type { TlsOptions, Transport } from './transport.ts';
import { capabilitiesOf, pageOf, terminationOf, type SessionPage } from './wire.ts';

/** The service, the credentials of the caller, and the settings of the requests. */
export interface ClientOptions {
  /** The URL of the service, such as `https://sessions.example.com`. */
  readonly endpoint: string;
  readonly credentials: Credentials;
  /** The language of error messages from the service. */
  readonly language?: 'en-us' | 'zh-cn' | undefined;
  readonly tls?: TlsOptions | undefined;
  /** The timeout of one request in milliseconds, 35,000 by default. The time of `waitSeconds` is added to it. */
  readonly timeoutMs?: number | undefined;
  /** The maximum number of retries of a request that is safe to repeat; 2 by default. */
  readonly retries?: number | undefined;
  readonly transport?: Transport | undefined;
}

/** The options of a list. */
export interface ListOptions {
  /** Fills `transaction` of each session. */
  readonly withTransactions?: boolean | undefined;
  /** Called with the reason if the caller asked for transactions and the node does not show them. */
  readonly onNoTransactions?: ((reason: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each page with the number of entries read and the total that the service reports. */
  readonly onProgress?: ((read: number, total: number) => void) | undefined;
}

/** The options of a kill. */
export interface KillOptions {
  readonly signal?: AbortSignal | undefined;
  /** Sends no KILL. In the result, `killed` has the ids that a kill would end, and `failed` the ids that the node would refuse. */
  readonly isDryRun?: boolean | undefined;
  /** `statement` ends only the statement that each session runs; the session and its transaction stay. By default, the session ends. */
  readonly scope?: 'session' | 'statement' | undefined;
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
    const { signal, onProgress, onNoTransactions, withTransactions } = options;
    const read = async (offset: number, limit: number) => {
      const page = { offset, limit, signal, withTransactions };
      const { sessions, total, missingTransactions } = await this.listPage(node, page);
      if (missingTransactions !== undefined) onNoTransactions?.(missingTransactions);
      return { items: sessions, total };
    };
    return joinPages(read, ({ id }) => id, onProgress);
  }

  /** Reads one page of at most 100 sessions. Rejects like `list`. */
  async listPage(
    node: NodeAddress,
    { offset = 0, limit = 100, signal, withTransactions = false }: Page = {},
  ): Promise<SessionPage> {
    const more = withTransactions ? '&with=transaction' : '';
    return this.#get(node, `processes?limit=${limit}&offset=${offset}${more}`, pageOf, signal);
  }

  /**
   * Reads all nodes of a project, sorted by instance id and node id, and the facts about the caller. A node that stays during the read is
   * in the result exactly once. Rejects like `list`.
   */
  async nodes(projectId: string, { signal, onProgress }: ListOptions = {}): Promise<ProjectNodes> {
    let first: NodePage | undefined = await this.nodesPage(projectId, { signal });
    const { caller } = first;
    const read = async (offset: number, limit: number) => {
      const page = first ?? (await this.nodesPage(projectId, { offset, limit, signal }));
      first = undefined;
      return { items: page.nodes, total: page.total };
    };
    const key = ({ instanceId, nodeId }: NodeEntry): string => instanceId + nodeId;
    const nodes = await joinPages(read, key, onProgress);
    return { nodes, caller };
  }

  /** Reads one page of at most 100 nodes. Rejects like `list`. */
  async nodesPage(
    projectId: string,
    { offset = 0, limit = 100, signal }: Page = {},
  ): Promise<NodePage> {
    return perform(this.#settings, {
      method: 'GET',
      path: `/v3/${encodeURIComponent(projectId)}/nodes?limit=${limit}&offset=${offset}`,
      isRepeatable: true,
      timeoutMs: this.#timeoutMs,
      signal,
      read: nodePageOf,
    });
  }

  /** Returns the user sessions of a node in numbers. Rejects like `list`. */
  async summary(node: NodeAddress, signal?: AbortSignal): Promise<SessionSummary> {
    return this.#get(node, 'summary', summaryOf, signal);
  }

  /** Returns one session with its whole statement and its locks. Rejects like `list`, also if the node has no such user session. */
  async show(node: NodeAddress, id: bigint, signal?: AbortSignal): Promise<SessionDetail> {
    return this.#get(node, `processes/${id}`, detailOf, signal);
  }

  /** Returns the capabilities of the service on the node. Rejects like `list`. */
  async capabilities(node: NodeAddress, signal?: AbortSignal): Promise<Capabilities> {
    return this.#get(node, 'capabilities', capabilitiesOf, signal);
  }

  /** Returns the blockers of the node, and the waits for them. Rejects like `list`. */
  async blockers(node: NodeAddress, signal?: AbortSignal): Promise<Blockers> {
    return this.#get(node, 'blockers', blockersOf, signal);
  }

  /** Returns the cause of a session's lock wait, or undefined if there is none. Rejects like `list`, also if no user session has the id. */
  async lockWait(
    node: NodeAddress,
    id: bigint,
    signal?: AbortSignal,
  ): Promise<LockCause | undefined> {
    return this.#get(node, `process/lock-wait?pid=${id}`, lockCauseOf, signal);
  }

  /**
   * Reads what was ended on the nodes of an instance, the newest kill first: of the last 24 hours unless `since` is given.
   * Rejects like `list`, also if the service records no kills.
   */
  async history(
    { projectId, instanceId }: Pick<NodeAddress, 'projectId' | 'instanceId'>,
    options: HistoryOptions = {},
  ): Promise<KillHistory> {
    const [project, instance] = [projectId, instanceId].map(encodeURIComponent);
    return readHistory(options, (query) =>
      perform(this.#settings, {
        method: 'GET',
        path: `/v3/${project}/instances/${instance}/process/kill/history?${query}`,
        isRepeatable: true,
        timeoutMs: this.#timeoutMs,
        signal: options.signal,
        read: historyPageOf,
      }),
    );
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
    const named = targets.map((target) => asTarget(target, options.scope));
    const parts = batches(named, MAX_IDS, MAX_BODY_BYTES);
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

  #get<T>(
    node: NodeAddress,
    path: string,
    read: (answer: HttpAnswer) => T,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    return perform(this.#settings, {
      method: 'GET',
      path: `${pathOf(node)}/${path}`,
      isRepeatable: true,
      timeoutMs: this.#timeoutMs,
      signal,
      read,
    });
  }

  #killSome(
    node: NodeAddress,
    targets: readonly Target[],
    options: KillOptions,
    index: number,
    onMayHaveRun: () => void,
  ): Promise<Termination> {
    const { waitSeconds, isDryRun, scope, reason, idempotencyKey, signal } = options;
    const prefer = [
      ...(waitSeconds === undefined ? [] : [`wait=${waitSeconds}`]),
      ...(waitSeconds !== undefined || options.isDetailed ? ['return=representation'] : []),
    ].join(', ');
    const query = [
      ...(isDryRun ? ['dry_run=true'] : []),
      ...(scope === 'statement' ? ['scope=statement'] : []),
    ].join('&');
    return perform(this.#settings, {
      method: 'DELETE',
      path: `${pathOf(node)}/processes${query === '' ? '' : `?${query}`}`,
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

// A session from `list` holds the statement of that time. With the scope `session`, the kill must not depend on the statement.
function asTarget(target: bigint | Target, scope: KillOptions['scope']): Target {
  if (typeof target === 'bigint') return { id: target };
  return scope === 'statement' ? target : { ...target, info: undefined };
}
