import type { Server } from 'node:http';
import type { AuditHistory } from './audit/audit-history.ts';
import type { FileAudit } from './audit/file-audit.ts';
import type { Config } from './config/service-file.ts';
import {
  accessKeysOf,
  fixedPart,
  keystoneOf,
  tokensOf,
  type Configuration,
  type Problems,
} from './configuration.ts';
import { replaceTls, stopListening } from './http/listener.ts';
import type { AccessKeys } from './identity/access-keys.ts';
import type { KeystoneTokens } from './identity/keystone-tokens.ts';
import type { StaticTokens } from './identity/authenticator.ts';
import type { Logger } from './logging/logger.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { MysqlNodes } from './mysql/mysql-nodes.ts';
import type { FileRegistry } from './registry/node-registry.ts';
import type { RedisConnection } from './store/redis-connection.ts';
import { warnOfOpenIam, warnOfUnverifiedNodes } from './warnings.ts';

/** A scrape in progress need not finish. */
const METRICS_STOP_MS = 100;
/** The time that stopping keeps for the steps after the last request, such as writing the audit. */
const AFTER_REQUESTS_MS = 500;
/** The time for the last log lines. */
const LAST_LINES_MS = 500;

/** The parts of the service that listen, follow the configuration, or close at the end. */
export interface ServiceParts {
  readonly config: Config;
  readonly log: Logger;
  readonly listener: Server;
  readonly metrics: Metrics | undefined;
  readonly metricsListener: Server | undefined;
  readonly registry: FileRegistry;
  readonly mysqlNodes: MysqlNodes;
  readonly tokens: StaticTokens;
  readonly accessKeys: AccessKeys;
  readonly keystone: KeystoneTokens;
  readonly audit: FileAudit | undefined;
  readonly history: AuditHistory | undefined;
  readonly redis: RedisConnection | undefined;
}

/** Listens for metrics, if configured, then for clients. Calls `onCannotListen` if a port is not available. */
export function listen(
  { config: { server, metrics }, log, listener, metricsListener, registry }: ServiceParts,
  stopping: AbortSignal,
  onCannotListen: () => void,
): void {
  const cannotListen =
    ({ host, port }: { readonly host: string; readonly port: number }) =>
    (error: unknown): void => {
      log.error('cannot listen', { host, port, error });
      onCannotListen();
    };
  const listenForClients = (): void => {
    if (stopping.aborted) return;
    listener.listen(server.port, server.host, () => {
      log.info('listening', {
        host: server.host,
        port: portOf(listener),
        nodes: registry.size,
      });
    });
  };
  listener.on('error', cannotListen(server));
  if (metricsListener === undefined || metrics === undefined) {
    listenForClients();
    return;
  }
  metricsListener.on('error', cannotListen(metrics));
  metricsListener.listen(metrics.port, metrics.host, () => {
    log.info('listening for metrics', { host: metrics.host, port: portOf(metricsListener) });
    listenForClients();
  });
}

/** Applies the new nodes, credentials and certificates. If the new configuration has problems, the old one stays in force. */
export function reload(parts: ServiceParts, next: Configuration | Problems): void {
  const { config, log, listener, registry, mysqlNodes } = parts;
  parts.metrics?.reloaded(!('problems' in next));
  if ('problems' in next) {
    log.error('reload refused', {
      problems: next.problems,
      effect: 'the old configuration stays in force',
    });
    return;
  }
  registry.replace(next.nodes);
  mysqlNodes.retain(next.nodes);
  if (config.registry.warm === 'all') void mysqlNodes.warm(next.nodes);
  parts.tokens.replace(tokensOf(next.config));
  parts.accessKeys.replace(accessKeysOf(next.config));
  parts.keystone.replace(keystoneOf(next.config));
  const { tls } = next.config.server;
  // A running listener cannot change whether it requires client certificates.
  if (tls !== undefined && (tls.ca === undefined) === (config.server.tls?.ca === undefined)) {
    replaceTls(listener, tls);
  }
  warnOfUnverifiedNodes(next.nodes, log);
  warnOfOpenIam(next.config, log);
  if (fixedPart(next.config) !== fixedPart(config)) {
    log.warn('restart needed', { effect: 'some changes take effect only at a restart' });
  }
  log.info('reloaded', { nodes: next.nodes.length });
}

/**
 * Completes the requests in progress, then closes every part. Calls `endNow` if the process still runs 500 ms later, and at the latest
 * `request_timeout_ms` after the call.
 */
export function close(parts: ServiceParts, endNow: () => void): void {
  const { config, log, listener, metricsListener, mysqlNodes, audit, history, redis } = parts;
  const limitMs = config.limits.request_timeout_ms;
  // A hanging disk, pipe or name server blocks a thread of Node.js, and Node.js then does not exit.
  setTimeout(endNow, limitMs).unref();
  void stopListening(listener, Math.max(limitMs - AFTER_REQUESTS_MS, limitMs / 2))
    .then(() => metricsListener && stopListening(metricsListener, METRICS_STOP_MS))
    .then(() => redis?.close())
    .then(() => {
      mysqlNodes.close();
    })
    // A hanging read of the history must not keep the last records of kills from the file.
    .then(() => Promise.all([audit?.close(), history?.close()]))
    .then(() => {
      log.info('stopped');
      setTimeout(endNow, LAST_LINES_MS).unref();
    });
}

function portOf(server: Server): number | undefined {
  const address = server.address();
  return typeof address === 'object' ? address?.port : undefined;
}
