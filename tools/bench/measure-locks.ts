import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { until } from '../lib/until.ts';
import { Client, getRequest } from './client.ts';
import { Driver } from './driver.ts';
import { BenchNode, CONTROL } from './node.ts';
import { using, type ServerRig } from './rig.ts';
import { interleave, repeat } from './rounds.ts';
import { createService } from './service.ts';

const WAITERS = 1000;
/** The service shares the locks that it has read for 2 s, and the next sample must make it read them again. */
const PAUSE_MS = 2100;
const SETUP_DEADLINE_MS = 120_000;
/** More frequent polls would keep the server from renewing its transactions. */
const POLL_MS = 200;

/** Measurement g: GET …/blockers with 1,000 waiters behind one root, compared with the statements that the service sends for it. */
export async function measureLocks(rig: ServerRig): Promise<void> {
  const { build, results, name, rounds } = rig;
  const node = await BenchNode.start(rig.node.server.flavour, WAITERS + 100);
  await using(
    rig,
    () => node.stop(),
    async () => {
      rig.progress(`letting ${WAITERS} sessions wait`);
      await prepare(node);
      await letWait(node);
      const service = createService(build, { nodePorts: [node.server.port] });
      await using(
        rig,
        () => {
          service.remove();
        },
        async () => {
          await service.launch();
          const client = new Client(service.port);
          const driver = await Driver.connect(node.server.port);
          const ask = async (): Promise<void> => {
            const { status, body } = await client.ask(getRequest(0, 'blockers'));
            const isRight = status === 200 && body.includes(`"waiters":${WAITERS},`);
            assert(isRight, `The blockers were answered with ${status} ${body.slice(0, 500)}`);
          };
          await client.ready();
          const statements = await node.statementsDuring(ask);
          const [bare, blockers] = ['bare statements for the blockers', 'service, blockers'];
          const lanes = [
            {
              name: bare,
              run: () =>
                repeat(
                  1,
                  () => driver.queryAll(statements),
                  () => sleep(PAUSE_MS),
                ),
            },
            {
              name: blockers,
              run: async () => {
                await client.ready();
                return repeat(1, ask, () => sleep(PAUSE_MS));
              },
            },
          ];
          // The first runs are slow in both lanes, and would weigh much among so few samples.
          for (const { run } of lanes) for (let time = 0; time < 3; time += 1) await run();
          const samples = await interleave(lanes, rounds, (round) => {
            rig.progress(`the blockers of ${WAITERS} waiters, round ${round} of ${rounds}`);
          });
          driver.close();
          client.close();
          const p50 = (lane: string): number =>
            results.lane('g', name, lane, samples.get(lane) ?? []);
          const floor = p50(bare);
          const ratio = p50(blockers) / floor;
          results.figure('g', name, 'blockers / bare statements', ratio, { atMost: 1.3 });
        },
      );
    },
  );
}

async function prepare({ root, server }: BenchNode): Promise<void> {
  await root.query('CREATE DATABASE bench');
  await root.query('CREATE TABLE bench.t (id INT PRIMARY KEY, v INT) ENGINE = InnoDB');
  await root.query('INSERT INTO bench.t VALUES (1, 0)');
  await root.query("GRANT ALL ON bench.* TO app@'%'");
  await root.query('SET GLOBAL innodb_lock_wait_timeout = 100000');
  if (server.flavour !== 'mysql') return;
  for (const table of ['data_lock_waits', 'data_locks', 'metadata_locks']) {
    await root.query(`GRANT SELECT ON performance_schema.${table} TO ${CONTROL.user}@'%'`);
  }
}

/** Lets the waiters wait for a row that one session has locked. That session stays until the server stops. */
async function letWait(node: BenchNode): Promise<void> {
  const { host, port, rootUser: user } = node.server;
  const holder = await mysql.createConnection({ host, port, user });
  holder.on('error', () => undefined);
  await holder.query('BEGIN');
  await holder.query('UPDATE bench.t SET v = 1 WHERE id = 1');
  await node.victims(WAITERS, 'UPDATE bench.t SET v = 2 WHERE id = 1');
  const sql = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
  await until(
    'all sessions wait',
    async () => (await node.root.query<RowDataPacket[]>(sql))[0].length === WAITERS,
    SETUP_DEADLINE_MS,
    POLL_MS,
  );
}
