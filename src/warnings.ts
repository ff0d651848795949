import { fileURLToPath } from 'node:url';
import type { Config } from './config/service-file.ts';
import { isLoopback, type Node, type NodeKey } from './domain/node.ts';
import type { Logger } from './logging/logger.ts';
import type { NodeEvents } from './mysql/pool/node-health.ts';
import type { RedisEvents } from './store/redis-connection.ts';

const HOUR_MS = 3_600_000;

/** Warns about a port that other machines reach without TLS, or without credentials. */
export function warnOfOpenListeners({ server, metrics }: Config, log: Logger): void {
  if (server.tls === undefined && !isLoopback(server.host)) {
    log.warn('listening without TLS', {
      host: server.host,
      effect: 'tokens and signatures cross the network in cleartext',
    });
  }
  if (metrics !== undefined && !isLoopback(metrics.host)) {
    log.warn('metrics open to other machines', {
      host: metrics.host,
      effect: 'the metrics port asks for no credentials',
    });
  }
}

/** Warns about pages that do not open because `npm run build` was skipped. `missing` holds the folder of each such page. */
export function warnOfMissingPages(missing: Readonly<Record<string, URL>>, log: Logger): void {
  const pages = Object.keys(missing);
  if (pages.length === 0) return;
  log.warn('pages not built', {
    missing: Object.values(missing).map((folder) => fileURLToPath(folder)),
    effect: `${pages.join(' and ')} cannot be shown: run \`npm run build\``,
  });
}

/** Warns about an IAM endpoint on another machine without TLS. */
export function warnOfOpenIam({ identity }: Config, log: Logger): void {
  const iam = identity.keystone?.endpoint;
  if (iam !== undefined && iam.startsWith('http:') && !isLoopback(new URL(iam).hostname)) {
    log.warn('IAM endpoint without TLS', { effect: 'tokens cross the network in cleartext' });
  }
}

/** Warns about nodes whose certificates are not verified. */
export function warnOfUnverifiedNodes(nodes: readonly Node[], log: Logger): void {
  const unverified = nodes.filter(({ tls }) => tls === 'offered').map(({ nodeId }) => nodeId);
  if (unverified.length === 0) return;
  log.warn('nodes without tls settings', {
    nodes: unverified.length,
    first_node_id: unverified[0],
    effect: 'connections are encrypted if the node offers TLS, but the node is not verified',
  });
}

/** Returns handlers that log when a node becomes unreachable, and when it is reachable again. */
export function logNodeEvents(log: Logger): NodeEvents {
  return {
    unreachable: ({ nodeId }, error) =>
      log.warn('node unreachable', {
        node_id: nodeId,
        error,
        effect: 'requests to the node get 503 for up to 5 s',
      }),
    reachable: ({ nodeId }) => log.warn('node reachable again', { node_id: nodeId }),
  };
}

/** Returns handlers that log when the store becomes unreachable, and when it is reachable again. */
export function logStoreEvents(log: Logger): RedisEvents {
  return {
    lost: (error) =>
      log.warn('store unreachable', {
        error,
        effect: 'signed kills and kills with an Idempotency-Key are refused',
      }),
    back: () => log.info('store reachable again'),
  };
}

/** Returns a handler that logs an error when the audit file cannot be written. */
export function logAuditTrouble(file: string, log: Logger): (error: unknown) => void {
  return (error) =>
    log.error('audit not writable', { file, error, effect: 'kills are refused with 503' });
}

/** Returns a handler that warns at most once an hour per node: sessions of the control account are internal, whichever program opens them. */
export function warnOfSharedAccount(log: Logger): (node: NodeKey) => void {
  const warnedAt = new Map<string, number>();
  return ({ nodeId }) => {
    const now = performance.now();
    if (now - (warnedAt.get(nodeId) ?? -Infinity) < HOUR_MS) return;
    warnedAt.set(nodeId, now);
    log.warn('control account shared with other programs', {
      node_id: nodeId,
      effect: 'sessions of these programs are neither listed nor ended',
    });
  };
}
