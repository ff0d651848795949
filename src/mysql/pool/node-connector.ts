import { setTimeout as pause } from 'node:timers/promises';
import { backoffMs } from '../../domain/deadline.ts';
import type { Deadline } from '../../domain/deadline.ts';
import type { Node } from '../../domain/node.ts';
import { ServiceError } from '../../errors.ts';
import { isEndpointUnavailable, isFull, nodeTrouble } from '../node-trouble.ts';
import { SharedControlConnection } from '../shared-connection.ts';
import type { ControlConnectionIds, KnownOfNode } from '../shared-connection.ts';
import type { ConnectionPool } from './connection-pool.ts';
import { CircuitBreaker, type NodeEvents } from './node-health.ts';

/** On a full node, each refused login occupies the last connection for a moment. Another attempt can succeed. */
const FULL_PATIENCE_MS = 1000;
const FULL_PAUSE_MS = 50;
/** Without requests, the pause between two attempts to connect grows from the first value to the second. */
const SHORTEST_REOPEN_MS = 500;
const LONGEST_REOPEN_MS = 60_000;

/** Opens the connections of one node's pool, one at a time: for a request, beforehand, and after the last connection broke. */
export class NodeConnector {
  readonly breaker = new CircuitBreaker();
  readonly #node: Node;
  readonly #known: KnownOfNode;
  readonly #pool: ConnectionPool;
  readonly #ids: ControlConnectionIds;
  readonly #events: NodeEvents | undefined;
  #opening:
    { readonly shared: Promise<SharedControlConnection>; readonly begunAt: number } | undefined;
  #reopening: NodeJS.Timeout | undefined;
  #reopened = 0;
  #isClosed = false;

  constructor(
    node: Node,
    known: KnownOfNode,
    pool: ConnectionPool,
    ids: ControlConnectionIds,
    events: NodeEvents | undefined,
  ) {
    [this.#node, this.#known, this.#pool] = [node, known, pool];
    [this.#ids, this.#events] = [ids, events];
  }

  /** Returns the time since the present attempt to connect began, in milliseconds; undefined if there is none. */
  openingMs(): number | undefined {
    return this.#opening && performance.now() - this.#opening.begunAt;
  }

  /**
   * Opens a connection, adds it to the pool and returns it. Callers that arrive during an attempt share it. Throws `overloaded` while the
   * breaker is open, else `node_unavailable`.
   */
  open(): Promise<SharedControlConnection> {
    this.#opening ??= {
      shared: this.#connect().finally(() => (this.#opening = undefined)),
      begunAt: performance.now(),
    };
    return this.#opening.shared;
  }

  /** Opens a connection if none is usable. Never throws; retries later after a failure. */
  async warm(): Promise<void> {
    if (this.#pool.best() !== undefined || this.#isClosed) return;
    try {
      this.#pool.release(await this.open());
    } catch {
      this.reopenLater();
    }
  }

  /** Opens a connection after a pause, if the pool is empty. */
  reopenLater(): void {
    if (this.#isClosed || !this.#pool.isEmpty()) return;
    clearTimeout(this.#reopening);
    const pauseMs = backoffMs(this.#reopened, SHORTEST_REOPEN_MS, LONGEST_REOPEN_MS);
    this.#reopened += 1;
    this.#reopening = setTimeout(
      () => void this.warm(),
      Math.max(this.breaker.leftMs(), pauseMs),
    ).unref();
  }

  /** Stops opening connections without a request. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#reopening);
  }

  async #connect(): Promise<SharedControlConnection> {
    this.breaker.requireClosed();
    const opening = this.#ids.opening(this.#node.nodeId);
    try {
      const shared = await connectWithFallback(this.#node, this.#known);
      if (this.breaker.succeeded()) this.#events?.reachable(this.#node);
      if (!shared.isSpare) this.#reopened = 0;
      this.#pool.dropStale();
      this.#pool.add(shared);
      return shared;
    } catch (error) {
      const trouble = nodeTrouble(error, this.#node.connectTimeoutMs);
      if (isEndpointUnavailable(error) && !isFull(error) && this.breaker.failed()) {
        this.#events?.unreachable(this.#node, trouble);
      }
      throw trouble;
    } finally {
      opening.end();
    }
  }
}

/**
 * Opens a control connection over the main port, or over the spare port if the main port is unavailable. Retries a full node for 1 s. Throws
 * the main port's error. If the spare port answers but must not be used, throws that reason, with the main port's error as the cause.
 */
async function connectWithFallback(
  node: Node,
  known: KnownOfNode,
): Promise<SharedControlConnection> {
  const begun = performance.now();
  const limit = (): Deadline => performance.now() + node.connectTimeoutMs + node.listTimeoutMs;
  for (;;) {
    try {
      return await SharedControlConnection.open(node, node, limit(), known);
    } catch (error) {
      if (!isEndpointUnavailable(error)) throw error;
      const spare = await openSpare(node, limit(), known);
      if (spare instanceof SharedControlConnection) return spare;
      if (!isFull(error) || performance.now() - begun > FULL_PATIENCE_MS) {
        throw spare === undefined
          ? error
          : new ServiceError(spare.code, spare.detail, { cause: error });
      }
      await pause(FULL_PAUSE_MS * (1 + Math.random()));
    }
  }
}

/**
 * Returns a connection over the spare port, or an error if the spare port must not be used. Returns undefined if there is no spare port, or
 * if it is unavailable too.
 */
async function openSpare(
  node: Node,
  deadline: Deadline,
  known: KnownOfNode,
): Promise<SharedControlConnection | ServiceError | undefined> {
  if (node.admin === undefined) return undefined;
  try {
    return await SharedControlConnection.open(node, node.admin, deadline, known);
  } catch (error) {
    return error instanceof ServiceError ? error : undefined;
  }
}
