import { isSameRun, type Incarnation } from '../domain/incarnation.ts';
import type { Node } from '../domain/node.ts';
import { ServiceError, type Sentence } from '../errors.ts';
import type { ServerIdentity } from './identity.ts';

/** The way in: the node's own port, or its spare port. */
export type Port = 'main' | 'spare';

/**
 * What the connections to one node have proven about the server behind it. The main port decides which server is the node. The spare port,
 * a name that leads elsewhere, or a connection from before a failover must agree with what the main port proved last.
 */
export class NodeIdentity {
  /** The run that the main port reached last. */
  #main: Incarnation | undefined;
  /** The run that any port reached last. */
  #last: Incarnation | undefined;

  /**
   * Returns the identity with a start time that later connections cannot contradict. Throws `node_unavailable` if the server is not the one
   * that `server_uuid` or `server_identity` pins, or if the spare port is not proven to lead to the server of the main port.
   */
  accept(identity: ServerIdentity, port: Port, node: Node): ServerIdentity {
    if (!isPinned(identity, node)) throw new ServiceError('node_unavailable', NOT_PINNED);
    if (port === 'spare') this.#requireSameAsMain(identity, node);
    const incarnation = this.#dated(identity.incarnation);
    this.#last = incarnation;
    if (port === 'main') this.#main = incarnation;
    return { ...identity, incarnation };
  }

  /** Returns whether a connection still reaches the server that the main port reached last. */
  isCurrent(incarnation: Incarnation): boolean {
    return this.#main === undefined || isSameServer(this.#main, incarnation);
  }

  #requireSameAsMain({ incarnation }: ServerIdentity, node: Node): void {
    if (this.#main !== undefined && !isSameServer(this.#main, incarnation)) {
      throw new ServiceError('node_unavailable', OTHER_SPARE);
    }
    const hasPin = node.serverUuid !== undefined || node.serverIdentity !== undefined;
    if (this.#main === undefined && !hasPin)
      throw new ServiceError('node_unavailable', UNPROVEN_SPARE);
  }

  // The server's uptime is wall-clock time: a clock that steps at boot makes a new run look old. What was seen of the node before does not.
  #dated(seen: Incarnation): Incarnation {
    if (this.#last === undefined) return seen;
    const { begunBy } = isSameRun(this.#last, seen) ? this.#last : { begunBy: seen.seenAt };
    return { ...seen, begunBy };
  }
}

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

// Another run of the same server began after the main port had been seen: two servers can share hostname, port and server_id.
function isSameServer(main: Incarnation, other: Incarnation): boolean {
  if (main.server !== other.server) return false;
  return isSameRun(main, other) || other.begunBy > main.seenAt;
}

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

/** The spare port leads to another server. */
export const OTHER_SPARE: Sentence = {
  'en-us':
    'The spare port leads to another server than the main port, so it is not used. Correct admin_host or admin_port in the registry.',
  'zh-cn':
    '备用端口与主端口指向不同的服务器，因此不予使用。请更正注册表中的admin_host或admin_port。',
};

/** Nothing shows which server the spare port leads to. */
export const UNPROVEN_SPARE: Sentence = {
  'en-us':
    'The main port lets nobody in, and nothing proves that the spare port leads to the same server. Run session-control check while the main port answers, and add the line that it prints to the registry.',
  'zh-cn':
    '主端口无法连接，且无法证明备用端口指向同一服务器。请在主端口可用时运行session-control check，并将其输出的行加入注册表。',
};
