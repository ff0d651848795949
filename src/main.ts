import { setMaxListeners } from 'node:events';
import type { Server } from 'node:http';
import { createApp } from './app.ts';
import { FileAudit } from './audit/file-audit.ts';
import { LineFile } from './audit/line-file.ts';
import { nodeDefaults, serviceFile, type Config } from './config.ts';
import { NO_AUDIT } from './domain/audit.ts';
import { FirstAnswers } from './domain/first-answers.ts';
import type { Node } from './domain/node.ts';
import { SessionService } from './domain/session-service.ts';
import { createListener, replaceTls, stopListening } from './http/listener.ts';
import { AccessKeys } from './identity/access-keys.ts';
import { Authenticator } from './identity/authenticator.ts';
import { KeystoneTokens } from './identity/keystone-tokens.ts';
import { StaticTokens } from './identity/static-tokens.ts';
import { createLogger, type Logger } from './logger.ts';
import { meteredAudit, meteredIdentity, meteredNodes } from './metrics/metered.ts';
import { createMetricsListener } from './metrics/listener.ts';
import { createMetrics } from './metrics/metrics.ts';
import { MysqlNodes } from './mysql/mysql-nodes.ts';
import { FileRegistry } from './registry/node-registry.ts';
import { nodesFile } from './registry/nodes-file.ts';
import { MemoryAnswers } from './store/memory-answers.ts';
import { RedisAnswers } from './store/redis-answers.ts';
import { RedisConnection } from './store/redis-connection.ts';
import { RedisCounters } from './store/redis-counters.ts';
import { accessKeysOf, fixedPart, keystoneOf, tokensOf } from './settings.ts';
import {
  logNodeEvents,
  warnOfOpenLines,
  warnOfSharedAccount,
  warnOfUnverifiedNodes,
} from './warnings.ts';
import { readYamlFile, relativeTo } from './yaml-file.ts';

/** What sysexits.h calls EX_CONFIG. */
const EXIT_CONFIGURATION = 78;

/** Nobody needs the end of a reading of the metrics. */
const METRICS_STOP_MS = 500;

interface Configuration {
  readonly config: Config;
  readonly nodes: readonly Node[];
}

const configFile = process.env['CONFIG_FILE'] ?? 'config/service.yaml';
const initial = readConfiguration(configFile);
if ('problems' in initial) {
  process.stderr.write(`Invalid configuration:\n  ${initial.problems.join('\n  ')}\n`);
  process.exitCode = EXIT_CONFIGURATION;
} else {
  start(initial);
}

function start({ config, nodes }: Configuration): void {
  const { server, limits, sessions: rules } = config;
  const log = createLogger(config.log);
  const registry = new FileRegistry(nodes);
  const redis = connectStore(limits.store, log);
  const answers = redis === undefined ? new MemoryAnswers() : new RedisAnswers(redis);
  const tokens = new StaticTokens(tokensOf(config));
  const accessKeys = new AccessKeys(accessKeysOf(config), redis !== undefined);
  const iam = keystoneOf(config);
  const stopping = new AbortController();
  // Every request that waits listens to it.
  setMaxListeners(0, stopping.signal);
  const audit = config.audit && fileAudit(config.audit.file, log);
  if (audit === undefined) log.warn('no audit is configured: kills are recorded in this log only');
  const mysqlNodes = new MysqlNodes(logNodeEvents(log));
  const metrics =
    config.metrics &&
    createMetrics({
      nodes: () => registry.size,
      counts: () => mysqlNodes.counts(),
      isAuditWritable: audit && (async () => (await audit.trouble()) === undefined),
    });
  const keystone = iam && new KeystoneTokens(iam, metrics?.iamAsked);
  const authenticator = new Authenticator(tokens, accessKeys, keystone);
  const record = audit ?? NO_AUDIT;
  const sessions = new SessionService({
    registry,
    nodes: metrics ? meteredNodes(mysqlNodes, metrics.stages) : mysqlNodes,
    rules: {
      internalUsers: rules.internal_users,
      requireClientPort: rules.require_client_port,
    },
    audit: metrics && audit ? meteredAudit(audit, metrics.stages) : record,
    onSharedAccount: warnOfSharedAccount(log),
    ...(metrics && { onTerminated: metrics.terminated, onWaited: metrics.stages.wait }),
    stopping: stopping.signal,
  });
  const app = createApp({
    sessions,
    identity: metrics ? meteredIdentity(authenticator, metrics.stages) : authenticator,
    log,
    firstAnswers: new FirstAnswers(answers, (error) =>
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
    log,
    tls: server.tls,
  });

  warnOfUnverifiedNodes(nodes, log);
  warnOfOpenLines(config, log);
  const metricsListener =
    metrics &&
    createMetricsListener(metrics, (error) => log.error('metrics cannot be told', { error }));
  const cannotListen =
    ({ host, port }: { readonly host: string; readonly port: number }) =>
    (error: unknown): void => {
      log.error('cannot listen', { host, port, error });
      metricsListener?.close();
      process.exitCode = 1;
    };
  listener.on('error', cannotListen(server));
  if (metrics) listener.on('drop', metrics.connectionRefused);
  if (config.registry.warm === 'all') void mysqlNodes.warm(nodes);
  const listen = (): void => {
    if (stopping.signal.aborted) return;
    listener.listen(server.port, server.host, () => {
      log.info('listening', { host: server.host, port: portOf(listener), nodes: nodes.length });
    });
  };
  if (metricsListener === undefined || config.metrics === undefined) {
    listen();
  } else {
    const { host, port } = config.metrics;
    metricsListener.on('error', cannotListen(config.metrics));
    metricsListener.listen(port, host, () => {
      log.info('listening for metrics', { host, port: portOf(metricsListener) });
      listen();
    });
  }

  process.on('SIGHUP', () => {
    audit?.reopen();
    const reread = readConfiguration(configFile);
    metrics?.reloaded(!('problems' in reread));
    if ('problems' in reread) {
      log.error('reload refused, the old configuration stays', { problems: reread.problems });
      return;
    }
    registry.replace(reread.nodes);
    mysqlNodes.retain(reread.nodes);
    if (config.registry.warm === 'all') void mysqlNodes.warm(reread.nodes);
    tokens.replace(tokensOf(reread.config));
    accessKeys.replace(accessKeysOf(reread.config));
    const settings = keystoneOf(reread.config);
    if (settings !== undefined) keystone?.replace(settings);
    const tls = reread.config.server.tls;
    // Whether clients must present a certificate is settled when the listener is made.
    if (tls !== undefined && (tls.ca === undefined) === (server.tls?.ca === undefined)) {
      replaceTls(listener, tls);
    }
    warnOfUnverifiedNodes(reread.nodes, log);
    if (fixedPart(reread.config) !== fixedPart(config)) {
      log.warn('some of what changed takes effect only when the service is started again');
    }
    log.info('reloaded', { nodes: reread.nodes.length });
  });

  const stop = (signal: string): void => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    log.info('stopping', { signal });
    void stopListening(listener, limits.request_timeout_ms)
      .then(() => metricsListener && stopListening(metricsListener, METRICS_STOP_MS))
      .then(() => redis?.close())
      .then(() => {
        mysqlNodes.close();
      })
      .then(() => audit?.close())
      .then(() => log.info('stopped'));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

/** Both files, or everything that is wrong with either. */
function readConfiguration(path: string): Configuration | { readonly problems: readonly string[] } {
  const service = readYamlFile(path, serviceFile(path), process.env);
  const registryFile = service.value?.registry.file ?? writtenRegistryFile(service.written);
  if (registryFile === undefined) return service;
  const nodesPath = relativeTo(path, registryFile);
  const defaults = service.value?.node_defaults ?? nodeDefaults.parse(undefined);
  const nodes = readYamlFile(nodesPath, nodesFile(nodesPath, defaults), process.env);
  if (service.value === undefined || nodes.value === undefined) {
    return { problems: [...service.problems, ...nodes.problems] };
  }
  return { config: service.value, nodes: nodes.value.nodes };
}

function writtenRegistryFile(written: unknown): string | undefined {
  const { registry } = (written ?? {}) as { registry?: { file?: unknown } };
  return typeof registry?.file === 'string' ? registry.file : undefined;
}

function fileAudit(file: string, log: Logger): FileAudit {
  return new FileAudit(new LineFile(file), process.pid, (error) =>
    log.error('the audit cannot be written: kills are refused until it can', { file, error }),
  );
}

function portOf(server: Server): number | undefined {
  const address = server.address();
  return typeof address === 'object' ? address?.port : undefined;
}

function connectStore(url: string | undefined, log: Logger): RedisConnection | undefined {
  if (url === undefined) return undefined;
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  const settings = {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(port || 6379),
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    ...(/^\/\d+$/.test(pathname) && { database: Number(pathname.slice(1)) }),
    ...(protocol === 'rediss:' && { tls: {} }),
  };
  return new RedisConnection(settings, {
    lost: (error) =>
      log.warn('the store cannot be reached: signed and keyed requests to kill are refused', {
        error,
      }),
    back: () => log.info('the store is back'),
  });
}
