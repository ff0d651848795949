import { createServer, type Server } from 'node:http';

const SLOWEST_MS = 5000;
/** Few read metrics; nobody may hold sockets that the service needs. */
const MAX_CONNECTIONS = 64;

/** What the listener gives out. */
export interface Exposition {
  /** The metrics as they are now. */
  readonly text: () => Promise<string>;
  readonly contentType: string;
}

/** The HTTP server that answers GET /metrics, without credentials, and nothing else. `onError` hears of what could not be told. */
export function createMetricsListener(
  { text, contentType }: Exposition,
  onError: (error: unknown) => void,
): Server {
  const options = {
    headersTimeout: SLOWEST_MS,
    requestTimeout: SLOWEST_MS,
    connectionsCheckingInterval: 1000,
  };
  const server = createServer(options, (req, res) => {
    const answer = (status: number, type: string, body: string): void => {
      res.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(body);
    };
    if (req.method !== 'GET' || req.url?.split('?', 1)[0] !== '/metrics') {
      answer(404, 'text/plain', 'Only GET /metrics is answered here.\n');
      return;
    }
    text().then(
      (metrics) => {
        answer(200, contentType, metrics);
      },
      (error: unknown) => {
        onError(error);
        answer(500, 'text/plain', 'The metrics cannot be told.\n');
      },
    );
  });
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}
