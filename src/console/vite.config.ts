import { defineConfig } from 'vite';

const here = (path: string): string => new URL(path, import.meta.url).pathname;

/** Builds the page. Its links are relative, so that it also works below a path prefix of a proxy. */
export default defineConfig({
  root: here('.'),
  base: './',
  resolve: {
    alias: [
      // The client library, with its parts for Node.js replaced by parts for browsers.
      { find: /^\.\/transport\.ts$/, replacement: here('../client/fetch-transport.ts') },
      { find: 'node:timers/promises', replacement: here('timers.ts') },
      { find: /^\.\/signing\.ts$/, replacement: here('no-signing.ts') },
    ],
  },
  build: {
    outDir: here('../../dist/console'),
    emptyOutDir: true,
    // The page is /console: its files are in /console/.
    assetsDir: 'console',
    assetsInlineLimit: 0,
    modulePreload: false,
    target: 'es2023',
    license: { fileName: 'console/licences.md' },
    reportCompressedSize: false,
    // A test of the package limits the compressed size. The engine of the regular expressions takes 65 kB of it.
    chunkSizeWarningLimit: 1000,
    // The libraries mark their files for servers that render React: here they run in browsers only.
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
});
