import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { Router, type RequestHandler, type Response } from 'express';
import { fromMemory, onePerTurn } from './memory-files.ts';
import { methodOnlyGet } from './route-steps.ts';
import { sendJson } from './wire.ts';

/** The files of swagger-ui-dist that the page loads. */
const ASSETS = ['swagger-ui.css', 'swagger-ui-bundle.js'];
/** The folder to which `npm run build` copies these files: the installed package does not depend on swagger-ui-dist. */
export const DOCS_FOLDER = new URL('../swagger-ui/', import.meta.url);

// The links are relative, so that the page also works below a path prefix of a proxy.
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

function startPage(hasConsole: boolean): string {
  const console = '<li><a href="console">Look at sessions and end them</a></li>';
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>session-control</title>
    <link rel="icon" href="data:," />
  </head>
  <body>
    <h1>session-control</h1>
    <ul>${hasConsole ? console : ''}<li><a href="docs">Read the description of the API</a></li></ul>
  </body>
</html>
`;
}

// The page sends no request to the API, so it has no button for credentials. The default validator is a server of another company.
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

/** The readiness of the service, with the state of its parts. */
export interface Readiness {
  readonly isReady: boolean;
  readonly parts: Readonly<Record<string, string | number>>;
}

/**
 * Creates the routes for probes, which need no credentials. `/healthz` answers 200 while the process runs. `/readyz` answers 503 while the
 * service should get no requests.
 */
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
  // A router costs time: other requests skip it.
  return (req, res, next) => {
    if (/\/(healthz|readyz)/.test(req.url)) router(req, res, next);
    else next();
  };
}

/**
 * Creates the routes with the description of the API, which need no credentials: `/openapi.yaml`, and `/docs`, a page that shows it. In a
 * browser, `/` links to `/docs`, and to `/console` if the service has that page. Other clients get 404, as on the published API.
 */
export function docsRoutes(hasConsole: boolean): RequestHandler {
  const router = Router({ caseSensitive: true, strict: true });
  const turn = onePerTurn();
  const openapi = new URL('../../docs/openapi.yaml', import.meta.url);
  router.get('/', (req, res, next) => {
    res.vary('Accept');
    if (req.accepts(['json', 'html']) === 'html') res.type('html').send(startPage(hasConsole));
    else next();
  });
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
  // A router costs time: other requests skip it.
  return (req, res, next) => {
    if (/^\/(docs|openapi\.yaml|$|\?)/.test(req.url)) router(req, res, next);
    else next();
  };
}

/** Returns true if the files of `/docs` are there. */
export function areDocsBuilt(): boolean {
  try {
    return ASSETS.every((name) => existsSync(assetPath(name)));
  } catch {
    return false;
  }
}

async function readAsset(name: string): Promise<Buffer> {
  return readFile(assetPath(name));
}

/** Returns the path of a file of swagger-ui-dist. Throws if there is neither a build nor the development dependency. */
function assetPath(name: string): URL | string {
  const copy = new URL(name, DOCS_FOLDER);
  return existsSync(copy)
    ? copy
    : createRequire(import.meta.url).resolve(`swagger-ui-dist/${name}`);
}

/** Removes `upgrade-insecure-requests` if there is no TLS. With it, the browser would request the page's files over TLS. */
function allowPlainHttp(res: Response): void {
  if (res.req.secure) return;
  const policy = String(res.getHeader('Content-Security-Policy'));
  res.setHeader('Content-Security-Policy', policy.replace(/;?upgrade-insecure-requests/, ''));
}
