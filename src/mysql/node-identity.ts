import type { Node } from '../domain/node.ts';
import { isSameRun, type Incarnation } from '../domain/session.ts';
import { ServiceError, type Sentence } from '../errors.ts';
import type { ServerIdentity } from './identity.ts';

/** A port of the node. */
export type Port = 'main' | 'spare';

/** A run of the server, and the highest session id that a connection of ours had in it. */
interface KnownRun {
  readonly incarnation: Incarnation;
  readonly ownId: bigint;
}

/** After a proxy, this many different session ids in a row must agree with their greetings. */
const AGREEMENTS_AFTER_PROXY = 3;
/** Connections that are opened side by side can be identified in another order than that of their ids. */
const SIDE_BY_SIDE_MS = 1000;

/**
 * What the connections to one node have proven about the server behind it. The main port decides which server is the node. The spare port,
 * a name that leads elsewhere, or a connection from before a failover must agree with what the main port proved last.
 */
export class NodeIdentity {
  /** The incarnation that the main port reached last. */
  #main: Incarnation | undefined;
  /** The last two runs that any port reached, the last one first: another server can stand in for a while. */
  #runs: readonly KnownRun[] = [];
  /** After a proxy was seen: the session ids that agreed with their greetings since. */
  #agreed: Set<bigint> | undefined;

  /**
   * Returns the identity with the number of its run, and a start time that later connections cannot contradict. Throws `node_unavailable` if a
   * proxy greets, if the server is not the one that `server_uuid` or `server_identity` pins, or if the spare port is not proven to lead to the
   * server of the main port.
   */
  accept(identity: ServerIdentity, port: Port, node: Node): ServerIdentity {
    this.#requireNoProxy(identity);
    if (!isPinned(identity, node)) throw new ServiceError('node_unavailable', NOT_PINNED);
    const before = this.#runs.find((run) => isProvenSame(run, identity));
    const incarnation = this.#dated(identity.incarnation, before);
    if (port === 'spare') this.#requireSameAsMain(incarnation, identity, node);
    this.#remember(identity, incarnation, before);
    // A look that took long can end after a newer connection was opened.
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
   * MaxScale and ProxySQL greet with ids of their own, and take the number of a KILL for one of these. A proxy that keeps its connection to
   * the server can meet that connection's id by chance, so one agreement after a disagreement proves nothing.
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

  // The server's uptime is wall-clock time: a clock that steps at boot makes a new run look old. What was seen of the node before does not.
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
 * True if a connection surely reached this run: the server says the same start, had begun before the run was seen last, and has given out
 * higher ids since. A server that starts twice in a second says the same start, and so does one whose clock stands still while it is off.
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
 * True if a connection reached the server that the main port reached. Two servers can share hostname, port and server_id: then it is another
 * one if its run had begun, by its own uptime, before the main port was seen. A `server_uuid`, which has no colon, is nobody else's.
 */
function isSameServer(main: Incarnation, other: Incarnation, begunBy: number): boolean {
  if (main.server !== other.server) return false;
  return !main.server.includes(':') || isSameRun(main, other) || begunBy > main.seenAt;
}

const PROXY: Sentence = {
  'en-us':
    "A proxy that has session ids of its own answers in the node's place, so a KILL could end another session. Give the registry the node's own address.",
  'zh-cn':
    '应答的是使用自有会话ID的代理而非节点，KILL可能终止其他会话。请在注册表中填写节点自身的地址。',
};

const NOT_PINNED: Sentence = {
  'en-us':
    'Another server than the one that server_uuid or server_identity names answers at the address of the node.',
  'zh-cn': '节点地址上的服务器与server_uuid或server_identity指定的服务器不符。',
};

/** The main port reached another server after a connection was opened. */
export const OTHER_SERVER: Sentence = {
  'en-us':
    "Another server answers at the node's address by now, so nothing more is sent to the one before.",
  'zh-cn': '节点地址上现在是另一台服务器，因此不再向之前的服务器发送任何语句。',
};

const OTHER_SPARE: Sentence = {
  'en-us':
    'The spare port leads to another server than the main port, so it is not used. Correct admin_host or admin_port in the registry, or wait until the main port answers.',
  'zh-cn':
    '备用端口与主端口指向不同的服务器，因此不予使用。请更正注册表中的admin_host或admin_port，或等待主端口可用。',
};

const UNPROVEN_SPARE: Sentence = {
  'en-us':
    'The main port lets nobody in, and nothing proves that the spare port leads to the same server. Run session-control check while the main port answers, and add the line that it prints to the registry.',
  'zh-cn':
    '主端口无法连接，且无法证明备用端口指向同一服务器。请在主端口可用时运行session-control check，并将其输出的行加入注册表。',
};
