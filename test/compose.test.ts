import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { createConnection } from 'mysql2/promise';
import { parse as parseYaml } from 'yaml';
import { asRoot, servers } from './support/server.ts';

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
}

interface Service {
  readonly environment: Readonly<Record<string, string>>;
  readonly mem_limit?: string;
  readonly healthcheck?: { readonly test: string | readonly string[] };
}

const { services } = parseYaml(readFileSync('docker-compose.yml', 'utf8')) as Compose;
const databases = ['mysql', 'mariadb'].map((name) => {
  const service = services[name];
  return { name, service, check: String(service?.healthcheck?.test) };
});

it.each(Object.entries(services))('docker compose limits the memory of %s', (_name, service) => {
  expect(service.mem_limit).toBe('1g');
});

describe('the health check of docker compose', () => {
  it.each(databases)('of $name does not use the control account', ({ service, check }) => {
    const variables = Object.entries(service?.environment ?? {});
    const [, account = ''] = variables.find(([name]) => name.endsWith('_USER')) ?? [];
    expect(account).toBe('session_control');
    expect(check).not.toBe('undefined');
    expect(check).not.toMatch(/session_control|_USER\b|_PASSWORD\b/);
  });

  it.each(servers)(
    'of mysql can log in with an account that has no privileges: $flavour',
    async (server) => {
      const [, password] = /MYSQL_PWD=(\S+)/.exec(databases[0]?.check ?? '') ?? [];
      const [, user] = /--user=(\S+)/.exec(databases[0]?.check ?? '') ?? [];
      const sql = readFileSync('deploy/init/mysql.sql', 'utf8').split('\n');
      const about = sql.filter((line) => line.includes(`${String(user)}@`));
      expect(about).toEqual([expect.stringMatching(/^CREATE USER/)]);
      try {
        await asRoot(server, (root) => root.query(about[0] ?? ''));
        const connection = await createConnection({
          host: '127.0.0.1',
          port: server.port,
          user: String(user),
          password: String(password),
        });
        const [rows] = await connection.query({ sql: 'SHOW GRANTS', rowsAsArray: true });
        await connection.end();
        expect(rows).toEqual([[expect.stringMatching(/^GRANT USAGE ON \*\.\* TO /)]]);
      } finally {
        await asRoot(server, (root) =>
          root.query(`DROP USER IF EXISTS ${String(user)}@'127.0.0.1'`),
        );
      }
    },
  );
});
