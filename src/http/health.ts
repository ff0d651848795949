import type { IncomingMessage } from 'node:http';
import { Router, type RequestHandler } from 'express';
import { methodOnlyGet } from './route-steps.ts';
import { sendJson } from './wire.ts';

/** Whether the service can do its work, and what there is to say of its parts. */
export interface Readiness {
  readonly isReady: boolean;
  readonly parts: Readonly<Record<string, string | number>>;
}

/** Whether this request is one of a probe, which is to be answered however much there is to do. */
export function isProbe({ url }: IncomingMessage): boolean {
  return url === '/healthz' || url === '/readyz';
}

/** For probes, without credentials: `/healthz` says that the process runs, `/readyz` whether it should get requests (503 when not). */
export function healthRoutes(readiness: () => Promise<Readiness>): RequestHandler {
  const router = Router({ caseSensitive: true, strict: true });
  router.get('/healthz', (_req, res) => {
    sendJson(res, 200, { status: 'ok' });
  });
  router.get('/readyz', async (_req, res) => {
    const { isReady, parts } = await readiness();
    sendJson(res, isReady ? 200 : 503, { ready: isReady, ...parts });
  });
  router.all(['/healthz', '/readyz'], methodOnlyGet);
  // All other requests are spared the walk through a router.
  return (req, res, next) => {
    if (/\/(healthz|readyz)/.test(req.url)) router(req, res, next);
    else next();
  };
}
