import { setMaxListeners } from 'node:events';
import { createApp } from './app.ts';
import { AuditHistory } from './audit/audit-history.ts';
import { FileAudit } from './audit/file-audit.ts';
import { LineFile } from './audit/line-file.ts';
import {
  accessKeysOf,
  keystoneOf,
  requestLimitsOf,
  storeOf,
  tokensOf,
  type Configuration,
  type Problems,
} from './configuration.ts';
import { NO_AUDIT } from './domain/termination.ts';
import { IdempotentResponses } from './domain/idempotent-responses.ts';
import { SessionService } from './domain/session-service.ts';
import { isConsoleBuilt } from './http/console-routes.ts';
import { createListener } from './http/listener.ts';
import { areDocsBuilt, DOCS_FOLDER } from './http/public-routes.ts';
import { AccessKeys } from './identity/access-keys.ts';
import { Authenticator } from './identity/authenticator.ts';
import { KeystoneTokens } from './identity/keystone-tokens.ts';
import { StaticTokens } from './identity/authenticator.ts';
import { close, listen, reload } from './lifecycle.ts';
import { LogOutput } from './logging/log-output.ts';
import { createLogger } from './logging/logger.ts';
import { instrumentAudit, instrumentIdentity, instrumentNodes } from './metrics/instrumented.ts';
import { createMetricsListener } from './metrics/listener.ts';
import { createMetrics } from './metrics/metrics.ts';
import { MysqlNodes } from './mysql/mysql-nodes.ts';
import { FileRegistry } from './registry/node-registry.ts';
import { MemoryAnswers } from './store/memory-answers.ts';
import { RedisAuditStream } from './store/redis-audit-stream.ts';
import { RedisAnswers, RedisCounters } from './store/redis-stores.ts';
import { RedisConnection } from './store/redis-connection.ts';
import {
  logAuditTrouble,
  logNodeEvents,
  logStoreEvents,
  warnOfMissingPages,
  warnOfOpenIam,
  warnOfOpenListeners,
  warnOfSharedAccount,
  warnOfUnverifiedNodes,
} from './warnings.ts';

// Beside dist/service.js as well as beside src/.
const CONSOLE_FOLDER = new URL('../dist/console/', import.meta.url);

/** The dependencies of the service besides its configuration. */
export interface ServiceDependencies {
  /** The id of this process, for the audit. */
  readonly processId: number;
  /** Reads both configuration files again. */
  readonly reread: () => Configuration | Problems;
  /** Called if a port is not available. */
  readonly onCannotListen: () => void;
  /** Ends the process at once, even if a thread hangs. */
  readonly endNow: () => void;
}

/** A running service. */
export interface Service {
  /** Opens the audit file again, and applies the new configuration unless it has problems. */
  readonly reload: () => void;
  /** Refuses new requests, completes those in progress and closes every part. `signal` is for the log. */
  readonly stop: (signal: string) => void;
}

/** Creates the parts, connects them, and starts to listen. */
export function startService(
  { config, nodes }: Configuration,
  { processId, reread, onCannotListen, endNow }: ServiceDependencies,
): Service {
  const { server, limits, sessions: rules } = config;
  const output = new LogOutput();
  const log = createLogger(config.log, output);
  output.onRecovered = (lines) => log.warn('log lines lost', { lines });
  const registry = new FileRegistry(nodes);
  const store = storeOf(config);
  const redis = store && new RedisConnection(store, logStoreEvents(log));
  const answers = redis === undefined ? new MemoryAnswers() : new RedisAnswers(redis);
  const tokens = new StaticTokens(tokensOf(config));
  const accessKeys = new AccessKeys(accessKeysOf(config), redis !== undefined);
  const stopping = new AbortController();
  // Each waiting request adds a listener: Node.js need not warn about their number.
  setMaxListeners(0, stopping.signal);
  const shared = redis && new RedisAuditStream(redis);
  const audit =
    config.audit &&
    new FileAudit(
      new LineFile(config.audit.file),
      processId,
      logAuditTrouble(config.audit.file, log),
      () => log.info('audit writable again'),
      {
        recordsStatements: config.audit.statements,
        onWritten: (line, time) => shared?.share(line, time),
      },
    );
  const history =
    config.audit &&
    new AuditHistory(
      config.audit.file,
      (file, error) => {
        log.warn('audit file not readable', {
          ...{ file, error },
          effect: 'kills are missing in the history',
        });
      },
      { shared },
    );
  // A crash, or a Redis that was down, can have kept the last records from the other replicas.
  redis?.onReady(() => void history?.shareTail());
  if (audit === undefined) {
    log.warn('no audit configured', { effect: 'kills are recorded in this log only' });
  }
  const mysqlNodes = new MysqlNodes(logNodeEvents(log));
  const metrics =
    config.metrics &&
    createMetrics({
      nodes: () => registry.size,
      counts: () => mysqlNodes.counts(),
      lostLogLines: () => output.lost,
      isAuditWritable: audit && (async () => (await audit.trouble()) === undefined),
    });
  const keystone = new KeystoneTokens(keystoneOf(config), metrics?.iamAsked);
  const authenticator = new Authenticator(tokens, accessKeys, keystone);
  const record = audit ?? NO_AUDIT;
  const sessions = new SessionService({
    registry,
    nodes: metrics ? instrumentNodes(mysqlNodes, metrics.stages) : mysqlNodes,
    rules: {
      internalUsers: rules.internal_users,
      requireClientPort: rules.require_client_port,
    },
    audit: metrics && audit ? instrumentAudit(audit, metrics.stages) : record,
    onSharedAccount: warnOfSharedAccount(log),
    ...(metrics && { onTerminated: metrics.terminated, onWaited: metrics.stages.wait }),
    stopping: stopping.signal,
  });
  const app = createApp({
    sessions,
    identity: metrics ? instrumentIdentity(authenticator, metrics.stages) : authenticator,
    log,
    idempotentResponses: new IdempotentResponses(answers, (error) =>
      log.warn('response not stored', {
        error,
        effect: 'a repeated request may get the outcome unknown',
      }),
    ),
    audit: record,
    history,
    readiness: async () => {
      const trouble = await audit?.trouble();
      return {
        isReady: trouble === undefined && !stopping.signal.aborted,
        parts: {
          nodes: registry.size,
          audit: audit === undefined ? 'off' : (trouble ?? 'writable'),
          ...(stopping.signal.aborted && { stopping: 'yes' }),
        },
      };
    },
    consoleFolder: config.console ? CONSOLE_FOLDER : undefined,
    makeCounters: redis && ((name) => new RedisCounters(redis, name)),
    limits: requestLimitsOf(config),
    meter: metrics?.requests,
    trustProxy: server.trust_proxy,
  });
  const listener = createListener(app, {
    requestTimeoutMs: limits.request_timeout_ms,
    keepAliveTimeoutMs: server.keep_alive_timeout_ms,
    log,
    tls: server.tls,
    maxConnectionsPerAddress: server.max_connections_per_address,
  });

  warnOfUnverifiedNodes(nodes, log);
  warnOfOpenListeners(config, log);
  warnOfOpenIam(config, log);
  warnOfMissingPages(
    {
      ...(config.console && !isConsoleBuilt(CONSOLE_FOLDER) && { '/console': CONSOLE_FOLDER }),
      ...(!areDocsBuilt() && { '/docs': DOCS_FOLDER }),
    },
    log,
  );
  const metricsListener =
    metrics &&
    createMetricsListener(metrics, (error) => log.error('metrics not available', { error }));
  if (metrics) listener.on('drop', metrics.connectionRefused);
  if (config.registry.warm === 'all') void mysqlNodes.warm(nodes);

  const parts = {
    ...{ config, log, listener, metrics, metricsListener, registry, mysqlNodes },
    ...{ tokens, accessKeys, keystone, audit, history, redis },
  };
  listen(parts, stopping.signal, () => {
    onCannotListen();
    stopping.abort();
    close(parts, endNow);
  });
  return {
    reload: () => {
      // logrotate has renamed the file, so the audit reopens it even if the new configuration is refused.
      audit?.reopen();
      reload(parts, reread());
    },
    stop: (signal) => {
      if (stopping.signal.aborted) return;
      log.info('stopping', { signal });
      stopping.abort();
      close(parts, endNow);
    },
  };
}
