import assert from 'node:assert/strict';
import { freemem } from 'node:os';
import { readFileSync } from 'node:fs';
import { Client, getRequest, killRequest, WARM_UP_CONNECTIONS } from './client.ts';
import { Driver } from './driver.ts';
import { BenchNode } from './node.ts';
import { using, type ServerRig } from './rig.ts';
import { interleave, repeat, timed, type Lane } from './rounds.ts';
import { createService } from './service.ts';
import type { Measurement } from './settings.ts';

const KILLS = 10;
const LISTS = 5;
const WARM_UPS = 2000;
const WARM_UP_TURNS = 32;
/** An upper bound of the memory for a session, on the server and in its client. */
const MB_PER_SESSION = 0.7;
/** The number of other files that the server and the client need. */
const OTHER_FILES = 2500;
/** The numbers of the two nodes. */
const QUIET = 0;
const CROWDED = 1;

const LIST = 'SHOW PROCESSLIST';
const WITH_TRANSACTIONS = 'processes?with=transaction';
/** The number of sessions with an open transaction in measurement h. */
const TRANSACTIONS = 400;
/** The service reads the transactions at most once in this time, in milliseconds: a server does not renew them sooner. */
const TRANSACTION_PAUSE_MS = 150;

/**
 * Measurements c, e and h, on a node with 10,000 sessions: one kill compared with a kill on a quiet node, and the first page of the list,
 * without transactions as well as with them, compared with the bare statements.
 */
export async function measureCrowd(
  rig: ServerRig,
  wanted: number,
  only: ReadonlySet<Measurement>,
): Promise<void> {
  const { build, node, results, name } = rig;
  const kind = node.server.flavour;
  const size = Math.min(wanted, mostSessions());
  if (size < wanted) results.note(`This machine can hold ${size} sessions, not ${wanted}.`);
  const crowded = await BenchNode.start(kind, size + 500);
  await using(
    rig,
    () => crowded.stop(),
    async () => {
      rig.progress(`opening ${size} sessions`);
      const { opened, trouble } = await crowded.populate(size);
      if (trouble !== undefined) {
        results.note(`${name}: ${opened} sessions instead of ${size}: ${trouble}`);
      }
      const nodePorts = [node.server.port, crowded.server.port];
      const service = createService(build, { nodePorts });
      await using(
        rig,
        () => {
          service.remove();
        },
        async () => {
          await service.launch();
          const client = new Client(service.port);
          await client.warmUp(killRequest(QUIET, [2_000_000_000]), WARM_UPS);
          if (only.has('c')) await measureKills(rig, crowded, client, opened);
          const page = `page 1 of ${opened}`;
          if (only.has('e')) {
            const bare = [LIST];
            await measureLists(rig, crowded, client, { measurement: 'e', page, bare });
          }
          if (only.has('h')) {
            await crowded.victims(TRANSACTIONS, 'START TRANSACTION WITH CONSISTENT SNAPSHOT');
            await client.ready();
            const ask = () => client.ask(getRequest(CROWDED, WITH_TRANSACTIONS));
            const sent = await crowded.statementsDuring(ask);
            const transactions = sent.filter((sql) => sql.includes('innodb_trx'));
            assert(transactions.length === 1, 'The service did not read the transactions once.');
            await measureLists(rig, crowded, client, {
              measurement: 'h',
              page: `${page} with ${TRANSACTIONS} transactions`,
              bare: [LIST, ...transactions],
              call: WITH_TRANSACTIONS,
              warmMs: TRANSACTION_PAUSE_MS,
            });
          }
          client.close();
        },
      );
    },
  );
}

async function measureKills(
  rig: ServerRig,
  crowded: BenchNode,
  client: Client,
  size: number,
): Promise<void> {
  const { node, results, name, rounds } = rig;
  const lane = (lane: string, on: BenchNode, number: number): Lane => ({
    name: lane,
    run: async () => {
      const ids = await on.victims(KILLS);
      await client.ready();
      const taken: number[] = [];
      for (const id of ids) taken.push(await timed(() => client.kill(number, [id])));
      await on.settled();
      return taken;
    },
  });
  const [few, many] = ['one kill among 100', `one kill among ${size}`];
  const lanes = [lane(few, node, QUIET), lane(many, crowded, CROWDED)];
  // The two nodes get different statements, so each lane needs a warm-up.
  for (let connection = 0; connection < WARM_UP_CONNECTIONS; connection += 1) {
    await client.reconnect();
    for (const { run } of lanes) await repeat(WARM_UP_TURNS / WARM_UP_CONNECTIONS, run);
  }
  const samples = await interleave(lanes, rounds, (round) => {
    rig.progress(`one kill on a crowded node, round ${round} of ${rounds}`);
  });
  const p50 = (lane: string): number => results.lane('c', name, lane, samples.get(lane) ?? []);
  const ratio = p50(many) / p50(few);
  // MariaDB returns only the whole list, so the time grows with the number of sessions.
  if (node.server.flavour === 'mariadb') return;
  results.figure('c', name, 'crowded / quiet', ratio, { atMost: 1.5 });
}

/** Compares a list of the crowded node with the bare statements. */
async function measureLists(
  rig: ServerRig,
  node: BenchNode,
  client: Client,
  list: {
    readonly measurement: Measurement;
    readonly page: string;
    readonly bare: readonly string[];
    readonly call?: string;
    /** The time in milliseconds for which each lane lists without transactions before each sample. */
    readonly warmMs?: number;
  },
): Promise<void> {
  const { results, name, rounds } = rig;
  const { measurement, call, warmMs = 0 } = list;
  const driver = await Driver.connect(node.server.port);
  const ask = async (): Promise<void> => {
    const { status, body } = await client.ask(getRequest(CROWDED, call));
    assert(status === 200, `A list was answered with ${status}`);
    if (measurement === 'h') assert(body.includes('"transaction":'), 'There are no transactions.');
  };
  // An idle pause would cost the lane with more processes more.
  const warm = (work: () => Promise<unknown>) => async (): Promise<void> => {
    for (const end = performance.now() + warmMs; performance.now() < end;) await work();
  };
  const [bare, page] = [`bare driver, ${list.page}`, `service, ${list.page}`];
  const lanes = [
    {
      name: bare,
      run: () =>
        repeat(
          LISTS,
          () => driver.queryAll(list.bare),
          warm(() => driver.query(LIST)),
        ),
    },
    {
      name: page,
      run: async () => {
        await client.ready();
        return repeat(
          LISTS,
          ask,
          warm(() => client.ask(getRequest(CROWDED))),
        );
      },
    },
  ];
  // The first runs are slow in both lanes, and would weigh much among so few samples.
  for (const { run } of lanes) await repeat(3, run);
  const samples = await interleave(lanes, rounds, (round) => {
    rig.progress(`the list of a crowded node, round ${round} of ${rounds}`);
  });
  driver.close();
  const p50 = (lane: string): number =>
    results.lane(measurement, name, lane, samples.get(lane) ?? []);
  const floor = p50(bare);
  results.figure(
    measurement,
    name,
    list.bare.length > 1 ? 'page 1 / both bare statements' : 'page 1 / bare list',
    p50(page) / floor,
    { atMost: 1.3 },
  );
}

/** Returns how many sessions this machine can hold, by its free memory and the limit of open files. */
function mostSessions(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const files = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Infinity);
  return Math.max(100, Math.floor(Math.min(files - OTHER_FILES, available() / MB_PER_SESSION)));
}

function available(): number {
  const kb = /^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
  return kb === undefined ? freemem() / 2 ** 20 : Number(kb) / 1024;
}
