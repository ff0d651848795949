import type { Config } from './config/service-file.ts';
import { isLoopback, type Node, type NodeKey } from './domain/node.ts';
import type { Logger } from './logging/logger.ts';
import type { NodeEvents } from './mysql/pool/node-health.ts';
import type { RedisEvents } from './store/redis-connection.ts';

/** Warns of listening where others can read along. */
export function warnOfOpenListeners({ server, metrics }: Config, log: Logger): void {
  if (server.tls === undefined && !isLoopback(server.host)) {
    log.warn(
      'listening without TLS where others can read along: tokens and signatures are in the clear',
      { host: server.host },
    );
  }
  if (metrics !== undefined && !isLoopback(metrics.host)) {
    log.warn('metrics are given out without credentials where others can read them', {
      host: metrics.host,
    });
  }
}

/** Warns of an IAM that is asked where others can read along. */
export function warnOfOpenIam({ identity }: Config, log: Logger): void {
  const iam = identity.keystone?.endpoint;
  if (iam !== undefined && iam.startsWith('http:') && !isLoopback(new URL(iam).hostname)) {
    log.warn('IAM is asked without TLS where others can read along: tokens are in the clear');
  }
}

/** Warns of nodes that could be anybody. */
export function warnOfUnverifiedNodes(nodes: readonly Node[], log: Logger): void {
  const unverified = nodes.filter(({ tls }) => tls === 'offered').map(({ nodeId }) => nodeId);
  if (unverified.length === 0) return;
  log.warn('nodes without tls settings: encrypted where they offer it, but not verified', {
    nodes: unverified.length,
    first_node_id: unverified[0],
  });
}

/** Warns of nodes that cannot be reached, and that can be again. */
export function logNodeEvents(log: Logger): NodeEvents {
  return {
    unreachable: ({ nodeId }, error) =>
      log.warn('a node cannot be reached: requests to it are turned away for a while', {
        node_id: nodeId,
        error,
      }),
    reachable: ({ nodeId }) => log.warn('a node can be reached again', { node_id: nodeId }),
  };
}

/** Warns of a store that cannot be reached, and tells when it can be again. */
export function logStoreEvents(log: Logger): RedisEvents {
  return {
    lost: (error) =>
      log.warn('the store cannot be reached: signed and keyed requests to kill are refused', {
        error,
      }),
    back: () => log.info('the store is back'),
  };
}

/** Has somebody act on an audit that cannot be written. */
export function logAuditTrouble(file: string, log: Logger): (error: unknown) => void {
  return (error) =>
    log.error('the audit cannot be written: kills are refused until it can', { file, error });
}

/** Says it once a node and hour: an application that uses the control account silently becomes internal. */
export function warnOfSharedAccount(log: Logger): (node: NodeKey) => void {
  const told = new Map<string, number>();
  return ({ nodeId }) => {
    const now = performance.now();
    if (now - (told.get(nodeId) ?? -Infinity) < 3_600_000) return;
    told.set(nodeId, now);
    log.warn('others use the control account: their sessions are neither shown nor ended', {
      node_id: nodeId,
    });
  };
}
