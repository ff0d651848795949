import { by, limitReached, type Deadline } from '../domain/deadline.ts';
import type { ControlConnection, Node } from '../domain/node.ts';
import { ServiceError } from '../errors.ts';
import { Breaker } from './breaker.ts';
import type { Crowd, Crowded } from './crowd.ts';
import { openThroughAnyDoor } from './doors.ts';
import type { KnownOfNode } from './shared-connection.ts';
import { busyMs, KeptConnections, type Kept } from './kept-connections.ts';
import type { NodeCounts, NodeEvents } from './node-counts.ts';
import type { OwnConnections } from './own-connections.ts';
import { isDoorShut, isFull, nodeTrouble } from './server-errors.ts';

const SLOW_MS = 200;
/** Requests that may use a node, or wait for it, at once. */
const MAX_USERS = 512;
/** While nobody asks, a node is tried ever more rarely. */
const LONGEST_REOPEN_MS = 30_000;

interface Acquired {
  readonly kept: Kept;
  /** Whether it was there before. */
  readonly wasWarm: boolean;
}

/** The way to one node: its control connections are opened on demand or beforehand, and again when they break; how many may use them. */
export class NodeConnections implements Crowded {
  /** As the registry has it now: a reload can bring a new object that says the same. */
  node: Node;
  readonly known: KnownOfNode;
  readonly #own: OwnConnections;
  readonly #breaker = new Breaker();
  readonly #kept: KeptConnections;
  readonly #crowd: Crowd;
  readonly #events: NodeEvents | undefined;
  #users = 0;
  #opening: { readonly kept: Promise<Kept>; readonly begunAt: number } | undefined;
  #reopening: NodeJS.Timeout | undefined;
  #reopened = 0;
  #isClosed = false;

  constructor(
    node: Node,
    own: OwnConnections,
    crowd: Crowd,
    events: NodeEvents | undefined,
    known: KnownOfNode,
  ) {
    this.node = node;
    this.known = known;
    this.#own = own;
    const reopen = (): void => {
      this.#reopenLater();
    };
    this.#kept = new KeptConnections(node, own, reopen, known.lookup);
    this.#crowd = crowd;
    this.#events = events;
  }

  /** See Crowded. */
  get users(): number {
    return this.#users;
  }

  /** See Crowded. */
  isSlow(): boolean {
    const best = this.#kept.best();
    if (best !== undefined) return busyMs(best) >= SLOW_MS;
    if (this.#breaker.hasFailed()) return true;
    return performance.now() - (this.#opening?.begunAt ?? Infinity) >= SLOW_MS;
  }

  /** Returns whether a connection is there that may be used. */
  isWarm(): boolean {
    return this.#kept.best() !== undefined;
  }

  /** Whether a connection is there that answers within the time limit of a list; never throws. It stays with those who share it, unless nothing comes back. */
  async answers(deadline: Deadline): Promise<boolean> {
    const { listTimeoutMs } = this.node;
    const sendBy = Math.min(deadline, performance.now() + listTimeoutMs);
    const best = this.#kept.best();
    if (best === undefined) return false;
    // Cut short, it would take the connection from the others.
    const answer = best.shared.connected.query('DO 0', listTimeoutMs, Infinity, { sendBy });
    return by(sendBy, answer).then(
      () => true,
      () => false,
    );
  }

  /** Adds what there is here. */
  addTo({ connections, breakers, requests }: NodeCounts): void {
    const served = this.#kept.addTo(connections);
    if (this.#opening !== undefined) connections.opening += 1;
    breakers[this.#breaker.state] += 1;
    requests.at_node += served;
    requests.waiting_for_connection += this.#users - served;
    if (this.#users > 0 && this.isSlow()) requests.at_slow_node += this.#users;
  }

  /** See Nodes. */
  async withConnection<T>(
    deadline: Deadline,
    work: (connection: ControlConnection) => Promise<T>,
  ): Promise<T> {
    if (deadline <= performance.now()) throw limitReached();
    if (this.#users >= MAX_USERS) throw queueFull();
    this.#crowd.requireRoom(this);
    this.#users += 1;
    if (this.#users === 1) this.#crowd.begin(this);
    try {
      for (;;) {
        const { kept, wasWarm } = this.#warmOne() ?? (await this.#openOne(deadline));
        const lists = { given: 0 };
        try {
          return await this.#kept.use(kept, work, () => (lists.given += 1));
        } catch (error) {
          // It can have died unnoticed long ago; nothing was done over it.
          if (!wasWarm || lists.given > 0 || !kept.shared.connected.isBroken()) throw error;
        }
      }
    } finally {
      this.#users -= 1;
      if (this.#users === 0) this.#crowd.end(this);
    }
  }

  /** Closes connections that must not be used any more. */
  dropStale(): void {
    this.#kept.dropStale();
  }

  /** Replaces connections to an address that the node's name no longer has, or to another server than the main port reaches. */
  async recheck(): Promise<void> {
    await this.#kept.recheck();
  }

  /** Opens a connection if there is none; never throws. */
  async warm(): Promise<void> {
    if (this.isWarm() || this.#isClosed) return;
    try {
      this.#kept.giveBackSoon(await this.#open());
    } catch {
      this.#reopenLater();
    }
  }

  /** Closes what is not in use, and the rest when it no longer is. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#reopening);
    this.#kept.close();
  }

  /** One that is quick to answer, or the best when there may be no more; undefined when another one is to be opened. */
  #warmOne(): Acquired | undefined {
    const best = this.#kept.best();
    if (best === undefined) return undefined;
    const isGood = busyMs(best) < SLOW_MS || this.#kept.isFull();
    return isGood ? { kept: best, wasWarm: true } : undefined;
  }

  /** A new one, or the best there is when that answers again before, or no other one can be had. */
  async #openOne(deadline: Deadline): Promise<Acquired> {
    const best = this.#kept.best();
    const opening = this.#open();
    // It can be there yet, for nobody.
    void opening.then(
      (kept) => {
        this.#kept.giveBackSoon(kept);
      },
      () => undefined,
    );
    // Else who uses it last could give it back just when it is wanted.
    const letGo = best && this.#kept.hold(best);
    try {
      const first = best === undefined ? opening : Promise.race([opening, answering(best)]);
      const kept = await by(deadline, first);
      return { kept, wasWarm: kept === best };
    } catch (error) {
      if (best === undefined || best.shared.connected.isBroken()) throw error;
      return { kept: best, wasWarm: true };
    } finally {
      letGo?.();
    }
  }

  #open(): Promise<Kept> {
    this.#opening ??= {
      kept: this.#connect().finally(() => (this.#opening = undefined)),
      begunAt: performance.now(),
    };
    return this.#opening.kept;
  }

  async #connect(): Promise<Kept> {
    this.#breaker.requireClosed();
    const opening = this.#own.opening(this.node.nodeId);
    try {
      const shared = await openThroughAnyDoor(this.node, this.known);
      if (this.#breaker.succeeded()) this.#events?.reachable(this.node);
      if (!shared.isSpare) this.#reopened = 0;
      this.#kept.dropStale();
      return this.#kept.keep(shared);
    } catch (error) {
      const trouble = nodeTrouble(error, this.node.connectTimeoutMs);
      if (isDoorShut(error) && !isFull(error) && this.#breaker.failed()) {
        this.#events?.unreachable(this.node, trouble);
      }
      throw trouble;
    } finally {
      opening.end();
    }
  }

  #reopenLater(): void {
    if (this.#isClosed || !this.#kept.isEmpty()) return;
    clearTimeout(this.#reopening);
    const pauseMs =
      Math.min(250 * 2 ** Math.min(this.#reopened, 10), LONGEST_REOPEN_MS) * (1 + Math.random());
    this.#reopened += 1;
    this.#reopening = setTimeout(
      () => {
        void this.warm();
      },
      Math.max(this.#breaker.leftMs(), pauseMs),
    ).unref();
  }
}

/** Resolves when it has answered what it was slow to answer; never if it broke. */
function answering(kept: Kept): Promise<Kept> {
  const { connected } = kept.shared;
  return new Promise((resolve) => {
    connected.onceAnswered(() => {
      if (!connected.isBroken()) resolve(kept);
    });
  });
}

function queueFull(): ServiceError {
  return new ServiceError('overloaded', {
    'en-us': 'Too many requests wait for this node.',
    'zh-cn': '等待该节点的请求过多。',
  });
}
