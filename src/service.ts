import { setMaxListeners } from 'node:events';
import { createApp } from './app.ts';
import { FileAudit } from './audit/file-audit.ts';
import { LineFile } from './audit/line-file.ts';
import {
  accessKeysOf,
  fixedPart,
  keystoneOf,
  storeOf,
  tokensOf,
  type Configuration,
  type Problems,
} from './configuration.ts';
import { NO_AUDIT } from './domain/termination.ts';
import { IdempotentResponses } from './domain/idempotent-responses.ts';
import { SessionService } from './domain/session-service.ts';
import { createListener, replaceTls, stopListening } from './http/listener.ts';
import { AccessKeys } from './identity/access-keys.ts';
import { Authenticator } from './identity/authenticator.ts';
import { KeystoneTokens } from './identity/keystone-tokens.ts';
import { StaticTokens } from './identity/static-tokens.ts';
import { listen } from './listen.ts';
import { LogOutput } from './logging/log-output.ts';
import { createLogger } from './logging/logger.ts';
import { instrumentAudit, instrumentIdentity, instrumentNodes } from './metrics/instrumented.ts';
import { createMetricsListener } from './metrics/listener.ts';
import { createMetrics } from './metrics/metrics.ts';
import { MysqlNodes } from './mysql/mysql-nodes.ts';
import { FileRegistry } from './registry/node-registry.ts';
import { MemoryAnswers } from './store/memory-answers.ts';
import { RedisAnswers, RedisCounters } from './store/redis-stores.ts';
import { RedisConnection } from './store/redis-connection.ts';
import {
  logAuditTrouble,
  logNodeEvents,
  logStoreEvents,
  warnOfOpenIam,
  warnOfOpenListeners,
  warnOfSharedAccount,
  warnOfUnverifiedNodes,
} from './warnings.ts';

/** Nobody needs the end of a reading of the metrics. */
const METRICS_STOP_MS = 100;
/** The part of the time for stopping that is left for the steps after the last request, the audit above all. */
const AFTER_REQUESTS_MS = 500;
/** How long the last log lines may take. */
const LAST_LINES_MS = 500;

/** What the service is given besides its configuration. */
export interface ServiceDependencies {
  /** For the record. */
  readonly processId: number;
  /** Reads the configuration anew. */
  readonly reread: () => Configuration | Problems;
  /** Hears that there is nothing to listen on. */
  readonly onCannotListen: () => void;
  /** Ends the process at once, whatever hangs. */
  readonly endNow: () => void;
}

/** The service while it runs. */
export interface Service {
  /** Opens the audit's file anew, and takes over what can change of the configuration; with a problem the old one stays. */
  readonly reload: () => void;
  /** Takes no more requests, finishes those under way, and lets go of everything. `signal` is for the log. */
  readonly stop: (signal: string) => void;
}

/** Wires the parts and starts to listen. */
export function startService(
  { config, nodes }: Configuration,
  { processId, reread, onCannotListen, endNow }: ServiceDependencies,
): Service {
  const { server, limits, sessions: rules } = config;
  const output = new LogOutput();
  const log = createLogger(config.log, output);
  output.onRecovered = (lines) => log.warn('log lines were lost', { lines });
  const registry = new FileRegistry(nodes);
  const store = storeOf(config);
  const redis = store && new RedisConnection(store, logStoreEvents(log));
  const answers = redis === undefined ? new MemoryAnswers() : new RedisAnswers(redis);
  const tokens = new StaticTokens(tokensOf(config));
  const accessKeys = new AccessKeys(accessKeysOf(config), redis !== undefined);
  const stopping = new AbortController();
  // Every request that waits listens to it.
  setMaxListeners(0, stopping.signal);
  const audit =
    config.audit &&
    new FileAudit(
      new LineFile(config.audit.file),
      processId,
      logAuditTrouble(config.audit.file, log),
      () => log.info('the audit can be written again'),
    );
  if (audit === undefined) log.warn('no audit is configured: kills are recorded in this log only');
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
      log.warn('an answer could not be remembered', { error }),
    ),
    audit: record,
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
    makeCounters: redis && ((name) => new RedisCounters(redis, name)),
    limits: {
      maxProcesses: limits.max_processes_per_request,
      maxBodyBytes: limits.max_body_bytes,
      isReasonRequired: config.audit?.require_reason ?? false,
      requestsPerMinute: limits.requests_per_minute,
      requestTimeoutMs: limits.request_timeout_ms,
      maxWaitSeconds: limits.max_wait_seconds,
    },
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
  const metricsListener =
    metrics &&
    createMetricsListener(metrics, (error) => log.error('metrics cannot be told', { error }));
  if (metrics) listener.on('drop', metrics.connectionRefused);
  if (config.registry.warm === 'all') void mysqlNodes.warm(nodes);

  const reload = (): void => {
    audit?.reopen();
    const anew = reread();
    metrics?.reloaded(!('problems' in anew));
    if ('problems' in anew) {
      log.error('reload refused, the old configuration stays', { problems: anew.problems });
      return;
    }
    registry.replace(anew.nodes);
    mysqlNodes.retain(anew.nodes);
    if (config.registry.warm === 'all') void mysqlNodes.warm(anew.nodes);
    tokens.replace(tokensOf(anew.config));
    accessKeys.replace(accessKeysOf(anew.config));
    keystone.replace(keystoneOf(anew.config));
    const tls = anew.config.server.tls;
    // Whether clients must present a certificate is settled when the listener is made.
    if (tls !== undefined && (tls.ca === undefined) === (server.tls?.ca === undefined)) {
      replaceTls(listener, tls);
    }
    warnOfUnverifiedNodes(anew.nodes, log);
    warnOfOpenIam(anew.config, log);
    if (fixedPart(anew.config) !== fixedPart(config)) {
      log.warn('some of what changed takes effect only when the service is started again');
    }
    log.info('reloaded', { nodes: anew.nodes.length });
  };

  const letGo = (): void => {
    stopping.abort();
    // A disk, a pipe or a name server that hangs keeps one of Node's threads, and with it the process.
    setTimeout(endNow, limits.request_timeout_ms).unref();
    const forRequestsMs = Math.max(
      limits.request_timeout_ms - AFTER_REQUESTS_MS,
      limits.request_timeout_ms / 2,
    );
    void stopListening(listener, forRequestsMs)
      .then(() => metricsListener && stopListening(metricsListener, METRICS_STOP_MS))
      .then(() => redis?.close())
      .then(() => {
        mysqlNodes.close();
      })
      .then(() => audit?.close())
      .then(() => {
        log.info('stopped');
        setTimeout(endNow, LAST_LINES_MS).unref();
      });
  };
  const stop = (signal: string): void => {
    if (stopping.signal.aborted) return;
    log.info('stopping', { signal });
    letGo();
  };
  listen(listener, metricsListener, config, {
    log,
    nodes: nodes.length,
    isStopping: () => stopping.signal.aborted,
    onCannotListen: () => {
      onCannotListen();
      letGo();
    },
  });
  return { reload, stop };
}
