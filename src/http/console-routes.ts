import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Router, type RequestHandler, type Response } from 'express';
import { onePerTurn, sendPieces } from './memory-files.ts';
import { methodOnlyGet } from './route-steps.ts';

/** The page runs only its own files, and sends requests only to this service. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');
/** The name of such a file changes with its content. */
const HASHED = /-[\w-]{8}\.(js|css)$/;
const FOR_A_YEAR = 'public, max-age=31536000, immutable';

interface BuiltFile {
  readonly plain: Buffer;
  readonly gzip: Buffer;
}

/** The files of the page, by their path in the folder. */
type BuiltFiles = ReadonlyMap<string, BuiltFile>;

/**
 * Creates the routes of the page for people, which need no credentials: `/console`, and its files below. `folder` holds what
 * `npm run build:console` makes. Without it, the routes answer like an unknown path.
 */
export function consoleRoutes(folder: URL): RequestHandler {
  const router = Router({ caseSensitive: true, strict: true });
  const turn = onePerTurn();
  let files: Promise<BuiltFiles> | undefined;
  const load = async (): Promise<BuiltFiles> => {
    files ??= readFiles(folder);
    const loaded = await files;
    // Without a build, the next request looks again.
    if (loaded.size === 0) files = undefined;
    return loaded;
  };
  const send = (res: Response, { plain, gzip }: BuiltFile, type: string): void => {
    res.setHeader('Content-Security-Policy', POLICY);
    const isZipped = res.req.acceptsEncodings('gzip', 'identity') === 'gzip';
    res.type(type).vary('Accept-Encoding');
    if (isZipped) res.set('Content-Encoding', 'gzip');
    sendPieces(res, isZipped ? gzip : plain, turn);
  };
  router.get('/console', async (_req, res, next) => {
    const page = (await load()).get('index.html');
    if (page === undefined) next('router');
    else send(res, page, 'html');
  });
  router.get('/console/:name', async (req, res, next) => {
    const { name } = req.params;
    const file = (await load()).get(`console/${name}`);
    if (file === undefined) {
      next('router');
      return;
    }
    if (HASHED.test(name)) res.setHeader('Cache-Control', FOR_A_YEAR);
    send(res, file, name.endsWith('.md') ? 'text/plain' : extname(name));
  });
  router.all('/console', methodOnlyGet);
  // A router costs time: other requests skip it.
  return (req, res, next) => {
    if (req.url.startsWith('/console')) router(req, res, next);
    else next();
  };
}

/** Returns true if the folder holds the page. */
export function isConsoleBuilt(folder: URL): boolean {
  return existsSync(new URL('index.html', folder));
}

async function readFiles(folder: URL): Promise<BuiltFiles> {
  try {
    const names = await readdir(new URL('console/', folder));
    const paths = ['index.html', ...names.map((name) => `console/${name}`)];
    const read = async (path: string): Promise<[string, BuiltFile]> => {
      const plain = await readFile(new URL(path, folder));
      return [path, { plain, gzip: gzipSync(plain) }];
    };
    return new Map(await Promise.all(paths.map(read)));
  } catch {
    return new Map();
  }
}
