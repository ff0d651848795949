import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readConfiguration } from '../../src/configuration.ts';
import { openSession } from '../support/client-session.ts';
import { runCheck, runInit } from '../support/commands.ts';
import {
  startNodeWithCertificate,
  type NodeWithCertificate,
} from '../support/node-with-certificate.ts';
import { asRoot, servers } from '../support/server.ts';
import { createService } from '../support/service.ts';
import { until } from '../support/until.ts';

/** Each part of the printed SQL, the key that nodes.yaml needs with it, and whether it grants the threads. */
const PARTS = {
  mysql: [
    { title: 'MySQL 8.0', node: 'admin_port', threads: 'yes' },
    { title: 'MySQL 5.7', node: '', threads: 'no' },
    // MySQL can show that the part for TiDB is valid SQL and allows a KILL.
    { title: 'TiDB', node: '', threads: 'no' },
    { title: "A cloud's MySQL", node: 'kill_with', threads: 'no' },
  ],
  mariadb: [
    { title: 'MariaDB 10.5.2', node: 'admin_port', threads: 'no' },
    { title: 'MySQL 5.7', node: '', threads: 'no' },
  ],
};

for (const { flavour, version, canHavePair } of servers) {
  (canHavePair ? describe : describe.skip)(
    `the SQL that init prints, on ${flavour} ${version},`,
    () => {
      let own: NodeWithCertificate;
      const folder = mkdtempSync(join(tmpdir(), 'session-control-printed-'));
      const file = join(folder, 'service.yaml');
      const printed = runInit(folder).output;
      const nodesYaml = readFileSync(join(folder, 'nodes.yaml'), 'utf8');
      const [password = ''] = /(?<=export NODE_PASSWORD=)\S+/.exec(printed) ?? [];
      const environment = { NODE_HOST: '127.0.0.1', NODE_PASSWORD: password };

      beforeAll(async () => {
        own = await startNodeWithCertificate(flavour);
        const procedure = 'CREATE PROCEDURE mysql.rds_kill(IN thread BIGINT) KILL thread';
        if (flavour === 'mysql') await asRoot(own.server, (root) => root.query(procedure));
      }, 120_000);
      afterAll(async () => {
        await own.stop();
        rmSync(folder, { recursive: true });
      });

      function configure(key: string): void {
        const { server, adminPort, caFile, name } = own;
        const written = nodesYaml
          .replace('# port: 3306', `port: ${server.port}`)
          .replace(/# tls: \{ ca_file.*/, `tls: { ca_file: ${caFile}, server_name: ${name} }`)
          .replace('# admin_port: 33062', key === 'admin_port' ? `admin_port: ${adminPort}` : '#')
          .replace(/# kill_with: kill .*/, key === 'kill_with' ? 'kill_with: rds_kill' : '#');
        writeFileSync(join(folder, 'nodes.yaml'), written);
      }

      it.each(PARTS[flavour])('grants everything that the account needs: $title', async (part) => {
        const [sql = ''] = new RegExp(`^-- ${part.title}[^]*?\\n(?=\\n)`, 'm').exec(printed) ?? [];
        configure(part.node);
        await asRoot(own.server, async (root) => {
          await root.query('DROP USER IF EXISTS session_control');
          for (const statement of sql.replaceAll(/^--.*$/gm, '').split(';\n')) {
            if (statement.trim() !== '') await root.query(statement);
          }
        });

        const { code, output } = await runCheck(file, environment, 'table');

        const spare = part.node === 'admin_port' ? 'open' : 'none';
        const [, row = ''] = output.split('\n');
        expect(row.split(/\s+/)).toEqual([
          '18663926eacb443d98dc20f8620f28f2no07',
          flavour,
          own.server.version.split('.').slice(0, 2).join('.'),
          'verified',
          'open',
          spare,
          'all',
          'yes',
          part.threads,
        ]);
        expect(code).toBe(0);
        const read = readConfiguration(file, environment);
        if ('problems' in read) throw new Error(read.problems.join());
        const victim = await openSession(own.server);
        const api = createService({ registry: [...read.nodes] });
        expect(await api.kill([victim.id])).toMatchObject({ status: 200 });
        await until('the session has ended', () => victim.hasEnded());
      });

      it('is completed by the grants that check prints if some are missing', async () => {
        configure('admin_port');
        await asRoot(own.server, async (root) => {
          await root.query('DROP USER IF EXISTS session_control');
          await root.query(`CREATE USER session_control IDENTIFIED BY '${password}' REQUIRE SSL`);
        });
        const { code, output } = await runCheck(file, environment, 'table');
        expect(code).toBe(1);
        // An operator would run the printed statements.
        const grants = [...output.matchAll(/GRANT [^;]*;/g)].map(([grant]) => grant);
        expect(grants).toHaveLength(flavour === 'mysql' ? 3 : 2);
        await asRoot(own.server, async (root) => {
          for (const grant of grants) await root.query(grant);
        });
        expect((await runCheck(file, environment, 'table')).code).toBe(0);
      });
    },
  );
}
