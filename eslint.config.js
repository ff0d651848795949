import tseslint from 'typescript-eslint';

// The folders that each folder may import (docs/architecture.md, "Arrows"). A folder that is not here may import any folder.
const ARROWS = {
  'src/domain/**': { local: '^\\.\\./(?!errors\\.ts$)', packages: '^(?!node:|\\.)' },
  'src/http/**': {
    local: '^\\.\\./(?!domain/|errors\\.ts$)',
    packages: '^(mysql2|prom-client|winston|yaml|zod)(/|$)',
  },
  'src/mysql/*': {
    local:
      '^\\.\\./(?!domain/|errors\\.ts$)|/driver/(?!(driver-connection|list-rows|name-lookup|open-connection)\\.ts$)',
    packages: '^(?!node:|\\.)',
  },
  'src/mysql/pool/**': {
    local:
      '^\\.\\./(?!\\.\\./(domain/|errors\\.ts$)|(control-connection|node-trouble|shared-connection)\\.ts$|driver/(driver-connection|name-lookup|open-connection)\\.ts$)',
    packages: '^(?!node:|\\.)',
  },
  'src/mysql/driver/**': {
    local: '^\\.\\./(?!\\.\\./(domain/|errors\\.ts$))',
    packages: '^(?!node:|\\.|mysql2(/|$))',
  },
  'src/registry/**': { local: '^\\.\\./(?!domain/|errors\\.ts$)', packages: '^(?!\\.)' },
  'src/config/**': {
    local: '^\\.\\./(?!domain/|did-you-mean\\.ts$)',
    packages: '^(?!node:|\\.|(yaml|zod)$)',
  },
  'src/logging/**': {
    local: '^\\.\\./(?!escape-control-characters\\.ts$)',
    packages: '^(?!node:|\\.|winston$)',
  },
  'src/identity/**': {
    local: '^\\.\\./(?!domain/|errors\\.ts$)',
    packages: '^(?!node:|\\.|lru-cache$)',
  },
  'src/audit/**': {
    local: '^\\.\\./(?!domain/|(errors|escape-control-characters)\\.ts$)',
    packages: '^(?!node:|\\.|lossless-json$)',
  },
  'src/store/**': {
    local: '^\\.\\./(?!domain/|errors\\.ts$)',
    packages: '^(?!node:|\\.|(redis|rate-limit-redis)$)',
  },
  // The client library runs in other programs, so it imports no part of the service.
  'src/client/**': { local: '^\\.\\./', packages: '^(?!node:|\\.|(lossless-json|re2js)$)' },
  'src/cli/*': {
    local: '^\\.\\./(?!(client/index|require-node)\\.ts$)',
    packages:
      '^(?!node:|\\.|(commander|csv-stringify/sync|lossless-json|picocolors|string-width|yaml|yocto-spinner|zod)$|@inquirer/(confirm|password)$)',
  },
  // The screen of `top` imports the parts of `sessionctl`. It is the only place with Ink.
  'src/cli/top/**': {
    local: '^\\.\\./(?!\\.\\./client/index\\.ts$|[\\w-]+\\.ts$)',
    packages: '^(?!node:|\\.|(ink|picocolors|react|string-width)$)',
  },
  // The page runs in browsers, and imports only the client library.
  'src/console/**': {
    local: '^\\.\\./(?!client/index\\.ts$)',
    packages:
      '^(?!\\.|react$|react-dom/client$|@tanstack/react-(query|table|virtual)$|@ariakit/react$)',
  },
  // Each command imports only the parts of the service that it needs, and no other command.
  'src/commands/{command-line,init}.ts': {
    local: '^\\.(\\./(?!did-you-mean\\.ts$)|/(check|health))',
    packages: '^(?!node:|\\.)',
  },
  'src/commands/audit.ts': {
    local: '^\\.(\\./(?!audit/records\\.ts$)|/(?!command-line\\.ts$))',
    packages: '^(?!node:|\\.)',
  },
  'src/commands/health.ts': {
    local: '^\\.(\\./(?!config/yaml-(file|keys)\\.ts$)|/(?!command-line\\.ts$))',
    packages: '^(?!node:|\\.|zod$)',
  },
  'src/commands/check*.ts': {
    local:
      '^\\.(\\./(?!audit/line-file\\.ts$|domain/|mysql/(node-trouble|probe)\\.ts$|store/redis-connection\\.ts$|config/|configuration\\.ts$)|/(?!check|command-line\\.ts$))',
    packages: '^(?!node:|\\.)',
  },
  'src/app.ts': {
    local: '^\\./(?!domain/|http/|errors\\.ts$)',
    packages: '^(mysql2|prom-client|winston|yaml|zod)(/|$)',
  },
  // The metrics import the types of the parts that they measure. No such part imports the metrics.
  'src/metrics/**': {
    local: '^\\.\\./(?!domain/|http/metering\\.ts$|mysql/pool/node-health\\.ts$|errors\\.ts$)',
    packages: '^(?!node:|\\.|prom-client$)',
  },
  'src/warnings.ts': {
    local:
      '^\\./(?!config/service-file\\.ts$|domain/|logging/logger\\.ts$|mysql/pool/node-health\\.ts$|store/redis-connection\\.ts$)',
    packages: '^(?!node:|\\.)',
  },
  'src/lifecycle.ts': {
    local:
      '^\\./(?!config/service-file\\.ts$|configuration\\.ts$|warnings\\.ts$|(audit|http|identity|logging|metrics|mysql|registry|store)/)',
    packages: '^(?!node:|\\.)',
  },
  'src/{did-you-mean,escape-control-characters}.ts': { local: '^\\.', packages: '.' },
  'src/errors.ts': { local: '^\\.', packages: '.' },
};

const NO_PROCESS = {
  'no-restricted-globals': [
    'error',
    { name: 'process', message: 'Only the entry points touch the process.' },
  ],
};

export default tseslint.config(
  { ignores: ['dist/', 'coverage/'] },
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // Both report false errors: on winston.transports.Console, and on code that serialises errors.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
    },
  },
  { files: ['*.js', 'tools/*.js'], extends: [tseslint.configs.disableTypeChecked] },
  {
    files: ['src/**'],
    ignores: ['src/main.ts', 'src/cli/main.ts', 'src/require-node.ts'],
    rules: NO_PROCESS,
  },
  {
    files: ['src/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^mysql2(/|$)',
              message: 'Only src/mysql/driver imports mysql2 (its README).',
            },
          ],
        },
      ],
    },
  },
  Object.entries(ARROWS).map(([files, { local, packages }]) => ({
    files: [files],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: local,
              message: `${files} must not import this part (see "Arrows" in docs/architecture.md).`,
            },
            { regex: packages, message: `${files} must not import this package.` },
            { regex: '^(node:)?process$', message: 'Only main.ts touches the process.' },
          ],
        },
      ],
    },
  })),
  { files: ['src/console/vite.config.ts'], rules: { 'no-restricted-imports': 'off' } },
);
