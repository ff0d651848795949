import type { Node } from '../domain/node.ts';
import { isSameRun, type Incarnation } from '../domain/session.ts';
import { ServiceError, type Sentence } from '../errors.ts';
import type { ServerIdentity } from './identity.ts';

/** A port of the node. */
export type Port = 'main' | 'spare';

/** A run of the server, and the highest session id that a control connection had in it. */
interface KnownRun {
  readonly incarnation: Incarnation;
  readonly ownId: bigint;
}

/** After a proxy greeted, this many different session ids in a row must agree with their greetings. */
const AGREEMENTS_AFTER_PROXY = 3;
/** The identities of connections that open at the same time can arrive in another order than their ids. */
const SIDE_BY_SIDE_MS = 1000;

/**
 * The server behind one node, as its connections have proven it. The main port decides which server is the node. The spare port, and
 * connections from before a failover or a change of the name, must lead to the server that the main port proved last.
 */
export class NodeIdentity {
  /** The incarnation that the main port reached last. */
  #main: Incarnation | undefined;
  /** The last two runs that any port reached, the last one first: a failover can return to the server from before. */
  #runs: readonly KnownRun[] = [];
  /**
   * The session ids that agreed with their greetings since a proxy greeted. Undefined if no proxy has greeted, or once enough ids agreed.
   */
  #agreed: Set<bigint> | undefined;

  /**
   * Returns the identity with the number of its run, and with the `begunBy` that the run got first.
   * Throws `node_unavailable` in three cases:
   * - A proxy greets.
   * - The server is not the one that `server_uuid` or `server_identity` pins.
   * - Nothing proves that the spare port leads to the server of the main port.
   */
  accept(identity: ServerIdentity, port: Port, node: Node): ServerIdentity {
    this.#requireNoProxy(identity);
    if (!isPinned(identity, node)) throw new ServiceError('node_unavailable', NOT_PINNED);
    const before = this.#runs.find((run) => isProvenSame(run, identity));
    const incarnation = this.#dated(identity.incarnation, before);
    if (port === 'spare') this.#requireSameAsMain(incarnation, identity, node);
    this.#remember(identity, incarnation, before);
    // A slow identification can end after that of a newer connection.
    const isNewest = this.#main === undefined || incarnation.seenAt >= this.#main.seenAt;
    if (port === 'main' && isNewest) this.#main = incarnation;
    return { ...identity, incarnation };
  }

  /** Returns true if a connection still reaches the server that the main port reached last. */
  isCurrent(incarnation: Incarnation): boolean {
    if (this.#agreed !== undefined) return false;
    return this.#main === undefined || isSameServer(this.#main, incarnation, incarnation.begunBy);
  }

  /**
   * MaxScale and ProxySQL greet with their own ids, and read the number of a KILL as one of these. A proxy's id can equal the server's id
   * by chance, so one agreement after a disagreement proves nothing.
   */
  #requireNoProxy({ ownId, greetingId }: ServerIdentity): void {
    if (BigInt.asUintN(32, ownId) !== greetingId) this.#agreed = new Set();
    else this.#agreed?.add(ownId);
    if (this.#agreed === undefined) return;
    if (this.#agreed.size < AGREEMENTS_AFTER_PROXY)
      throw new ServiceError('node_unavailable', PROXY);
    this.#agreed = undefined;
  }

  #requireSameAsMain(dated: Incarnation, { incarnation }: ServerIdentity, node: Node): void {
    if (this.#main !== undefined && !isSameServer(this.#main, dated, incarnation.begunBy)) {
      throw new ServiceError('node_unavailable', OTHER_SPARE);
    }
    const hasPin = node.serverUuid !== undefined || node.serverIdentity !== undefined;
    if (this.#main === undefined && !hasPin)
      throw new ServiceError('node_unavailable', UNPROVEN_SPARE);
  }

  // The server's uptime is wall-clock time: a clock that steps at boot makes a new run look old. So a new run of a known node counts as
  // begun when it was first seen.
  #dated(seen: Incarnation, before: KnownRun | undefined): Incarnation {
    if (before !== undefined) {
      const { run, begunBy } = before.incarnation;
      return { ...seen, run, begunBy };
    }
    lastRun += 1;
    return { ...seen, run: lastRun, begunBy: this.#runs.length === 0 ? seen.begunBy : seen.seenAt };
  }

  #remember({ ownId }: ServerIdentity, incarnation: Incarnation, before: KnownRun | undefined) {
    const others = this.#runs.filter((run) => run !== before);
    const isHigher = before === undefined || ownId > before.ownId;
    this.#runs = [{ incarnation, ownId: isHigher ? ownId : before.ownId }, ...others.slice(0, 1)];
  }
}

/** Runs are numbered over all nodes. */
let lastRun = 0;

/** Returns the key and the value that pin this server in nodes.yaml. */
export function pinOf({ uuid, address }: Pick<ServerIdentity, 'uuid' | 'address'>): {
  readonly key: 'server_uuid' | 'server_identity';
  readonly value: string;
} {
  return uuid === undefined
    ? { key: 'server_identity', value: address }
    : { key: 'server_uuid', value: uuid };
}

function isPinned({ uuid, address }: ServerIdentity, node: Node): boolean {
  const { serverUuid = uuid, serverIdentity = address } = node;
  return serverUuid === uuid && serverIdentity === address;
}

/**
 * Returns true if a connection surely reached this run. The server must report the same start, must have begun before the run was seen
 * last, and must have given higher ids since. The start alone proves nothing. A server that starts twice in a second reports the same
 * start. So does a server whose clock stands still while it is off.
 */
function isProvenSame(
  { incarnation, ownId }: KnownRun,
  { incarnation: seen, ownId: seenId }: ServerIdentity,
): boolean {
  if (incarnation.server !== seen.server) return false;
  // The start is rounded to whole seconds.
  if (Math.abs(incarnation.startedAt - seen.startedAt) > 1) return false;
  if (seen.begunBy > incarnation.seenAt) return false;
  return seenId > ownId || Math.abs(seen.seenAt - incarnation.seenAt) < SIDE_BY_SIDE_MS;
}

/**
 * Returns true if a connection reached the server that the main port reached. A `server_uuid`, which has no colon, is unique. Two servers
 * can share hostname, port and server_id. Then a run that began, by its own uptime, before the main port was last seen is of another
 * server, unless it is the same run.
 */
function isSameServer(main: Incarnation, other: Incarnation, begunBy: number): boolean {
  if (main.server !== other.server) return false;
  return !main.server.includes(':') || isSameRun(main, other) || begunBy > main.seenAt;
}

const PROXY: Sentence = {
  'en-us':
    "A proxy that has its own session ids answers in the node's place, so a KILL could end another session. Give the registry the node's own address.",
  'zh-cn':
    '应答的是使用自有会话ID的代理而非节点，KILL可能终止其他会话。请在注册表中填写节点自身的地址。',
};

const NOT_PINNED: Sentence = {
  'en-us':
    "The server at the node's address is not the one that server_uuid or server_identity names. Correct that line or the address in the registry.",
  'zh-cn':
    '节点地址上的服务器与server_uuid或server_identity指定的服务器不符。请更正注册表中的该行或地址。',
};

/** The main port reached another server after the connection was opened. */
export const OTHER_SERVER: Sentence = {
  'en-us':
    "Another server answers at the node's address now, so the service sends nothing more to the previous one. Try again.",
  'zh-cn': '节点地址上现在是另一台服务器，因此不再向之前的服务器发送任何语句。请重试。',
};

const OTHER_SPARE: Sentence = {
  'en-us':
    'The spare port leads to another server than the main port, so the service does not use it. Correct admin_host or admin_port in the registry, or wait until the main port answers.',
  'zh-cn':
    '备用端口与主端口指向不同的服务器，因此不予使用。请更正注册表中的admin_host或admin_port，或等待主端口可用。',
};

const UNPROVEN_SPARE: Sentence = {
  'en-us':
    'The main port accepts no login, and nothing proves that the spare port leads to the same server. Run session-control check while the main port answers, and add the line that it prints to the registry.',
  'zh-cn':
    '主端口无法连接，且无法证明备用端口指向同一服务器。请在主端口可用时运行session-control check，并将其输出的行加入注册表。',
};
