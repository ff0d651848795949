import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { Router, type RequestHandler, type Response } from 'express';
import { methodOnlyGet } from './route-steps.ts';
import { sendJson } from './wire.ts';

const PIECE_BYTES = 16_384;
/** Files of swagger-ui-dist that the page loads. */
const ASSETS = ['swagger-ui.css', 'swagger-ui-bundle.js'];
/** Folder that `npm run build` copies these files to: the installed package does not depend on swagger-ui-dist. */
const COPIES = new URL('../swagger-ui/', import.meta.url);

// Relative, so that it also works below the prefix of a proxy.
const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>session-control</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="docs/swagger-ui.css" />
  </head>
  <body>
    <div id="page"></div>
    <noscript>The description of the API is at <a href="openapi.yaml">openapi.yaml</a>.</noscript>
    <script src="docs/swagger-ui-bundle.js"></script>
    <script src="docs/start.js"></script>
  </body>
</html>
`;

// The page is read-only: it sends no request, so it takes no credentials. The validator is another company's server.
const START = `SwaggerUIBundle({
  url: 'openapi.yaml',
  dom_id: '#page',
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: false,
  supportedSubmitMethods: [],
  validatorUrl: null,
  plugins: [
    { wrapComponents: { authorizeBtn: () => () => null, authorizeOperationBtn: () => () => null } },
  ],
});
`;

/** Whether the service can do its work, and what there is to say of its parts. */
export interface Readiness {
  readonly isReady: boolean;
  readonly parts: Readonly<Record<string, string | number>>;
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

/** What describes the API, for everybody: `/openapi.yaml`, and `/docs`, the same as a page, with all that it is made of. */
export function docsRoutes(): RequestHandler {
  const router = Router({ caseSensitive: true, strict: true });
  const turn = oneATurn();
  const openapi = new URL('../../docs/openapi.yaml', import.meta.url);
  router.get(
    '/openapi.yaml',
    fromMemory('application/yaml', () => readFile(openapi), turn),
  );
  router.get('/docs', (_req, res) => {
    allowPlainHttp(res);
    res.type('html').send(PAGE);
  });
  router.get('/docs/start.js', (_req, res) => {
    res.type('text/javascript').send(START);
  });
  for (const asset of ASSETS) {
    router.get(
      `/docs/${asset}`,
      fromMemory(extname(asset), () => readAsset(asset), turn),
    );
  }
  const parts = ['start.js', ...ASSETS].map((part) => `/docs/${part}`);
  router.all(['/openapi.yaml', '/docs', ...parts], methodOnlyGet);
  // All other requests are spared the walk through a router.
  return (req, res, next) => {
    if (/^\/(docs|openapi\.yaml)/.test(req.url)) router(req, res, next);
    else next();
  };
}

async function readAsset(name: string): Promise<Buffer> {
  try {
    return await readFile(new URL(name, COPIES));
  } catch {
    // Sources that run without a build take the development dependency.
    return await readFile(createRequire(import.meta.url).resolve(`swagger-ui-dist/${name}`));
  }
}

/** Answers with a file, read once: each that is sent would be kept open as long as its client does not take it. */
function fromMemory(
  type: string,
  read: () => Promise<Buffer>,
  turn: () => Promise<void>,
): RequestHandler {
  let bytes: Buffer | undefined;
  return async (_req, res) => {
    bytes ??= await read();
    res.type(type).set('Content-Length', bytes.length.toString());
    // The pipeline adds six listeners to those of every response: Node.js would warn of a leak.
    res.setMaxListeners(20);
    // TLS copies what it sends: the whole of it would be held for each client that does not read.
    pipeline(Readable.from(piecesOf(bytes, turn)), res, () => undefined);
  };
}

async function* piecesOf(bytes: Buffer, turn: () => Promise<void>): AsyncIterable<Buffer> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    await turn();
    yield bytes.subarray(at, at + PIECE_BYTES);
  }
}

/** Returns what resolves for one caller in each turn of the event loop, so that many clients that read hold up no kill. */
function oneATurn(): () => Promise<void> {
  const waiting: (() => void)[] = [];
  const next = (): void => {
    waiting.shift()?.();
    if (waiting.length > 0) setImmediate(next);
  };
  return () =>
    new Promise((resolve) => {
      if (waiting.push(resolve) === 1) setImmediate(next);
    });
}

/** A browser would ask for the page's parts over TLS, where there is none. */
function allowPlainHttp(res: Response): void {
  if (res.req.secure) return;
  const policy = String(res.getHeader('Content-Security-Policy'));
  res.setHeader('Content-Security-Policy', policy.replace(/;?upgrade-insecure-requests/, ''));
}
