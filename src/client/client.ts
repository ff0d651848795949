import { historyPageOf, readHistory, type HistoryOptions, type KillHistory } from './history.ts';
import { blockersOf, lockCauseOf, type Blockers, type LockCause } from './locks.ts';
import { joinPages } from './joined-list.ts';
import { deleteRequest, killInParts, type KillOptions } from './kill.ts';
import { nodePageOf, readNodes, type NodePage, type ProjectNodes } from './nodes.ts';
import { perform, type Credentials, type RequestSettings } from './requests.ts';
import type { Capabilities, NodeAddress, Session } from './session.ts';
import type { SessionSummary, Target, Termination } from './session.ts';
import { detailOf, summaryOf, type SessionDetail } from './session-reads.ts';
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

const DEFAULT_TIMEOUT_MS = 35_000;

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
    const path = `${pathOf(node)}/processes?limit=${limit}&offset=${offset}${more}`;
    return this.#get(path, pageOf, signal);
  }

  /**
   * Reads all nodes of a project, sorted by instance id and node id, and the facts about the caller. A node that stays during the read is
   * in the result exactly once. Rejects like `list`.
   */
  async nodes(projectId: string, { signal, onProgress }: ListOptions = {}): Promise<ProjectNodes> {
    return readNodes((page) => this.nodesPage(projectId, { ...page, signal }), onProgress);
  }

  /** Reads one page of at most 100 nodes. Rejects like `list`. */
  async nodesPage(
    projectId: string,
    { offset = 0, limit = 100, signal }: Page = {},
  ): Promise<NodePage> {
    const path = `/v3/${encodeURIComponent(projectId)}/nodes?limit=${limit}&offset=${offset}`;
    return this.#get(path, nodePageOf, signal);
  }

  /** Returns the user sessions of a node in numbers. Rejects like `list`. */
  async summary(node: NodeAddress, signal?: AbortSignal): Promise<SessionSummary> {
    return this.#get(`${pathOf(node)}/summary`, summaryOf, signal);
  }

  /** Returns one session with its whole statement and its locks. Rejects like `list`, also if the node has no such user session. */
  async show(node: NodeAddress, id: bigint, signal?: AbortSignal): Promise<SessionDetail> {
    return this.#get(`${pathOf(node)}/processes/${id}`, detailOf, signal);
  }

  /** Returns the capabilities of the service on the node. Rejects like `list`. */
  async capabilities(node: NodeAddress, signal?: AbortSignal): Promise<Capabilities> {
    return this.#get(`${pathOf(node)}/capabilities`, capabilitiesOf, signal);
  }

  /** Returns the blockers of the node, and the waits for them. Rejects like `list`. */
  async blockers(node: NodeAddress, signal?: AbortSignal): Promise<Blockers> {
    return this.#get(`${pathOf(node)}/blockers`, blockersOf, signal);
  }

  /** Returns the cause of a session's lock wait, or undefined if there is none. Rejects like `list`, also if no user session has the id. */
  async lockWait(
    node: NodeAddress,
    id: bigint,
    signal?: AbortSignal,
  ): Promise<LockCause | undefined> {
    return this.#get(`${pathOf(node)}/process/lock-wait?pid=${id}`, lockCauseOf, signal);
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
    const path = `/v3/${project}/instances/${instance}/process/kill/history`;
    return readHistory(options, (query) =>
      this.#get(`${path}?${query}`, historyPageOf, options.signal),
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
    return killInParts(targets, options, (part, index, onMayHaveRun) => {
      const { path, ...request } = deleteRequest(part, options, index);
      return perform(this.#settings, {
        ...request,
        method: 'DELETE',
        path: `${pathOf(node)}/${path}`,
        timeoutMs: this.#timeoutMs + (options.waitSeconds ?? 0) * 1000,
        signal: options.signal,
        onMayHaveRun,
        read: terminationOf,
      });
    });
  }

  #get<T>(
    path: string,
    read: (answer: HttpAnswer) => T,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    return perform(this.#settings, {
      method: 'GET',
      path,
      isRepeatable: true,
      timeoutMs: this.#timeoutMs,
      signal,
      read,
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
