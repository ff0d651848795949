import { createConnection, type Connection } from 'mysql2/promise';
import { Cleanup } from '../demo/cleanup.ts';
import { Service } from '../demo/service.ts';
import { startServer } from '../own-server.ts';

/** A service and a node with sessions to end. */
export interface Scene {
  readonly service: Service;
  /** The id of a session with a long rollback. */
  readonly batch: string;
}

const PASSWORD = 'for-the-recording-only';
/** 2^19 rows take a few seconds to roll back, and `kill` undoes them without --force. */
const DOUBLINGS = 19;

/** Starts the scene on a throw-away MariaDB. Rejects if a part does not start. */
export async function setScene(cleanup: Cleanup): Promise<Scene> {
  const node = await startServer('mariadb');
  cleanup.add('the node', async () => {
    await node.stop();
    return undefined;
  });
  const connect = async (user: string, database?: string): Promise<Connection> => {
    const connection = await createConnection({
      host: node.host,
      port: node.port,
      user,
      password: user === node.rootUser ? node.rootPassword : PASSWORD,
      ...(database !== undefined && { database }),
    });
    connection.on('error', () => undefined);
    return connection;
  };
  const root = await connect(node.rootUser);
  for (const database of ['shop', 'warehouse']) await root.query(`CREATE DATABASE ${database}`);
  for (const user of ['app', 'report', 'batch', 'session_control']) {
    await root.query(`CREATE USER ${user}@'%' IDENTIFIED BY '${PASSWORD}'`);
    await root.query(`GRANT ALL ON shop.* TO ${user}@'%'`);
    await root.query(`GRANT ALL ON warehouse.* TO ${user}@'%'`);
  }
  await root.query("GRANT PROCESS, CONNECTION ADMIN ON *.* TO session_control@'%'");
  await root.query('CREATE TABLE warehouse.moves (n INT, s CHAR(200)) ENGINE=InnoDB');
  await root.end();

  for (let count = 0; count < 4; count += 1) await connect('app', 'shop');
  const batch = await connect('batch', 'warehouse');
  await batch.beginTransaction();
  await batch.query("INSERT INTO moves VALUES (1, REPEAT('x', 200))");
  for (let doubled = 0; doubled < DOUBLINGS; doubled += 1) {
    await batch.query('INSERT INTO moves SELECT * FROM moves');
  }
  for (const region of ['north', 'south']) {
    const report = await connect('report', 'shop');
    report.query(`SELECT SLEEP(600) /* turnover ${region} */`).catch(() => undefined);
  }
  const service = new Service(node, { user: 'session_control', password: PASSWORD }, cleanup);
  await service.launch();
  return { service, batch: String(batch.threadId) };
}
