import { createConnection, type Connection } from 'mysql2/promise';
import type { Cleanup } from '../demo/cleanup.ts';
import { NODE } from '../demo/service.ts';
import { configure, identityOf } from '../lib/configuration.ts';
import { buildConsole } from '../lib/console.ts';
import { LaunchedService } from '../lib/launched-service.ts';
import { startServer } from '../own-server.ts';

/** A service whose node has blockers and waiters. */
export interface Scene {
  /** The base of the service's URLs. */
  readonly origin: string;
  readonly token: string;
  /** The id of the session that blocks the most others. */
  readonly blocker: string;
}

const PASSWORD = 'for-the-pictures-only';
const TOKEN = 'token-for-the-pictures';
const DATABASE = 'shop';

/** Builds the page, and starts the scene on a throw-away MySQL. Rejects if a part does not start. */
export async function setScene(cleanup: Cleanup): Promise<Scene> {
  await buildConsole();
  const node = await startServer('mysql');
  cleanup.add('the node', async () => {
    await node.stop();
    return undefined;
  });
  const connect = async (user: string): Promise<Connection> => {
    const isRoot = user === node.rootUser;
    const connection = await createConnection({
      host: node.host,
      port: node.port,
      user,
      password: isRoot ? node.rootPassword : PASSWORD,
      ...(!isRoot && { ssl: { rejectUnauthorized: false } }),
      ...(!isRoot && user !== 'session_control' && { database: DATABASE }),
    });
    connection.on('error', () => undefined);
    return connection;
  };
  const root = await connect(node.rootUser);
  await root.query(`CREATE DATABASE ${DATABASE}`);
  for (const user of ['app', 'report', 'batch', 'session_control']) {
    await root.query(`CREATE USER ${user}@'%' IDENTIFIED BY '${PASSWORD}'`);
    await root.query(`GRANT ALL ON ${DATABASE}.* TO ${user}@'%'`);
  }
  await root.query("GRANT PROCESS, CONNECTION_ADMIN ON *.* TO session_control@'%'");
  await root.query("GRANT SELECT ON performance_schema.* TO session_control@'%'");
  await root.query(`CREATE TABLE ${DATABASE}.orders (id INT PRIMARY KEY, total INT)`);
  const rows = Array.from({ length: 2000 }, (_, id) => `(${id}, 1)`).join(', ');
  await root.query(`INSERT INTO ${DATABASE}.orders VALUES ${rows}`);
  await root.end();
  // After a login over TLS, MySQL caches the hash of the password. Then the service can log in without TLS.
  await (await connect('session_control')).end();

  const run = (connection: Connection, sql: string): void => {
    connection.query(sql).catch(() => undefined);
  };
  const batch = await connect('batch');
  await batch.query('BEGIN');
  await batch.query('UPDATE orders SET total = total + 1 WHERE id < 1204');
  const report = await connect('report');
  await report.query('BEGIN');
  await report.query('SELECT COUNT(*) FROM orders');
  run(report, 'SELECT region, SUM(total), SLEEP(600) FROM orders GROUP BY region_of(id)');
  run(await connect('report'), 'SELECT SLEEP(600) /* turnover of the north */');
  for (let id = 1; id <= 6; id += 1) {
    const app = await connect('app');
    await app.query('BEGIN');
    run(app, `UPDATE orders SET total = total - 1 WHERE id = ${id}`);
  }
  for (let count = 0; count < 8; count += 1) await connect('app');

  const service = new LaunchedService();
  cleanup.add('the service', async () => {
    await service.stop('SIGTERM');
    service.remove();
    return undefined;
  });
  const settings = {
    server: { host: '127.0.0.1', port: 0 },
    log: { format: 'json' },
    identity: identityOf(NODE.projectId, { ops: TOKEN }),
  };
  configure(service, settings, [
    {
      ...{ node_id: NODE.nodeId, instance_id: NODE.instanceId, project_id: NODE.projectId },
      ...{ name: 'orders-primary', host: node.host, port: node.port },
      ...{ user: 'session_control', password: '${NODE_PASSWORD}' },
    },
    {
      ...{ node_id: NODE.nodeId.replace('18', '29'), instance_id: NODE.instanceId },
      ...{ project_id: NODE.projectId, name: 'orders-replica', host: '127.0.0.1', port: 1 },
      ...{ user: 'session_control', password: '${NODE_PASSWORD}' },
    },
  ]);
  service.start({ NODE_PASSWORD: PASSWORD });
  return { origin: await service.url(), token: TOKEN, blocker: String(batch.threadId) };
}
