import { createServer, type Server } from 'node:http';

const REQUEST_LIMIT_MS = 5000;
/** Few programs read metrics, and their sockets must not use up the sockets of the service. */
const MAX_CONNECTIONS = 64;

/** The content that the listener serves. */
export interface Exposition {
  /** Returns the current metrics. */
  readonly text: () => Promise<string>;
  readonly contentType: string;
}

/** Creates an HTTP server that answers only GET /metrics, without credentials. Calls `onError` if the metrics cannot be collected. */
export function createMetricsListener(
  { text, contentType }: Exposition,
  onError: (error: unknown) => void,
): Server {
  const options = {
    headersTimeout: REQUEST_LIMIT_MS,
    requestTimeout: REQUEST_LIMIT_MS,
    connectionsCheckingInterval: 1000,
  };
  const server = createServer(options, (req, res) => {
    const answer = (status: number, type: string, body: string): void => {
      res.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(body);
    };
    if (req.method !== 'GET' || req.url?.split('?', 1)[0] !== '/metrics') {
      answer(404, 'text/plain', 'This port answers only GET /metrics.\n');
      return;
    }
    text().then(
      (metrics) => {
        answer(200, contentType, metrics);
      },
      (error: unknown) => {
        onError(error);
        answer(
          500,
          'text/plain',
          'The metrics are not available. The log of the service has the reason.\n',
        );
      },
    );
  });
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}
