import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { SessionService } from '../src/domain/session-service.ts';
import type { Node } from '../src/domain/node.ts';
import { MysqlNodes } from '../src/mysql/mysql-nodes.ts';
import { FileRegistry } from '../src/registry/node-registry.ts';
import { startServer } from './own-server.ts';

/**
 * Measures how often a KILL for one statement ends the next one: a client runs statements of 1 ms one after the other, and the service
 * ends its statements as fast as it can. Prints one line for each server: `node --import tsx tools/statement-race.ts [seconds]`.
 */
const seconds = Number(process.argv[2] ?? 20);
const KEY = { projectId: 'p', instanceId: 'i', nodeId: 'n' };
const READS = ['performance_schema.threads', 'performance_schema.events_statements_current'];

for (const [kind, reads] of [
  ['mariadb', []],
  ['mysql', READS],
  ['mysql', []],
] as const) {
  const server = await startServer(kind);
  const login = { host: server.host, port: server.port, user: 'root' };
  const root = await createConnection(login);
  const killAny = kind === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';
  for (const user of ['control', 'app']) {
    await root.query(`CREATE USER ${user}@'%' IDENTIFIED BY 'secret'`);
  }
  await root.query(`GRANT PROCESS, ${killAny} ON *.* TO control@'%'`);
  for (const read of reads) await root.query(`GRANT SELECT ON ${read} TO control@'%'`);
  const how = reads.length > 0 || kind === 'mariadb' ? 'ids' : 'texts';
  const tls = kind === 'mysql' ? { ssl: { rejectUnauthorized: false } } : {};
  const found = await measure(server.host, server.port, tls);
  process.stdout.write(`${kind} ${server.version}, ${how}: ${JSON.stringify(found)}\n`);
  await root.end();
  await server.stop();
}
process.exit(0);

async function measure(
  host: string,
  port: number,
  tls: object,
): Promise<Readonly<Record<string, number>>> {
  const client = await createConnection({ host, port, user: 'app', password: 'secret', ...tls });
  const [rows] = await client.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id');
  const id = BigInt(String(rows[0]?.['id']));
  const ended = new Set<string>();
  const meant = new Set<string>();
  const count = { requests: 0, killed: 0, idle: 0, failed: 0, ended: 0, next: 0, statements: 0 };
  const end = performance.now() + seconds * 1000;
  const isOver = (): boolean => performance.now() >= end;
  const running = (async () => {
    while (!isOver()) {
      count.statements += 1;
      const text = `SELECT SLEEP(0.001) AS cut /* ${count.statements} */`;
      const cut = await client.query<RowDataPacket[]>(text).then(
        ([answer]) => String(answer[0]?.['cut']) === '1',
        () => true,
      );
      if (cut) ended.add(text);
    }
  })();
  const service = new SessionService({
    registry: new FileRegistry([nodeAt(host, port)]),
    nodes: new MysqlNodes(),
    rules: { internalUsers: [], requireClientPort: true },
  });
  while (!isOver()) {
    const receivedAt = performance.now();
    const origin = { requestId: '', caller: '', proof: '', address: '', reason: undefined };
    const { entries } = await service.terminate(KEY, {
      ...{ ids: [id], expected: [], scope: 'statement', isDryRun: false, waitMs: undefined },
      ...{ receivedAt, deadline: receivedAt + 10_000, origin },
      record: ({ session, outcome }) => outcome === 'killed' && meant.add(session.info),
    });
    count.requests += 1;
    if (entries[0]?.outcome === 'killed') count.killed += 1;
    if (entries[0]?.outcome === 'failed') count.failed += 1;
    if (entries[0]?.isIdle === true) count.idle += 1;
  }
  await running;
  await client.end();
  const next = [...ended].filter((text) => !meant.has(text)).length;
  return { ...count, ended: ended.size, next };
}

function nodeAt(host: string, port: number): Node {
  const limits = { connectTimeoutMs: 10_000, listTimeoutMs: 10_000, killTimeoutMs: 10_000 };
  const account = {
    user: 'control',
    password: 'secret',
    tls: 'offered',
    killWith: 'kill',
  } as const;
  return { ...KEY, host, port, ...account, ...limits, internalUsers: [] };
}
