import type { Server } from 'node:http';
import type { Config } from './config/service-file.ts';
import type { Logger } from './logging/logger.ts';

/** What listening wants to know, and whom it tells. */
export interface ListenSettings {
  readonly log: Logger;
  /** How many there are, for the log. */
  readonly nodes: number;
  readonly isStopping: () => boolean;
  /** Hears that there is nothing to listen on. */
  readonly onCannotListen: () => void;
}

/** Has both listen where the configuration says, that of the metrics first: who hears of the service can measure it. */
export function listen(
  listener: Server,
  metricsListener: Server | undefined,
  { server, metrics }: Config,
  { log, nodes, isStopping, onCannotListen }: ListenSettings,
): void {
  const cannotListen =
    ({ host, port }: { readonly host: string; readonly port: number }) =>
    (error: unknown): void => {
      log.error('cannot listen', { host, port, error });
      onCannotListen();
    };
  const listenForClients = (): void => {
    if (isStopping()) return;
    listener.listen(server.port, server.host, () => {
      log.info('listening', { host: server.host, port: portOf(listener), nodes });
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

function portOf(server: Server): number | undefined {
  const address = server.address();
  return typeof address === 'object' ? address?.port : undefined;
}
