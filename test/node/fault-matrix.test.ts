import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { TcpProxy, type Direction, type Fault, type When } from '../../tools/tcp-proxy.ts';
import { openSession, type ClientSession } from '../support/client-session.ts';
import { liveIds, nodeOn, servers } from '../support/server.ts';
import { createService, type Answer } from '../support/service.ts';
import { until } from '../support/until.ts';

/** The limits, which many cells wait for. */
const SHORT = { nodeMs: 400, requestMs: 1500 };
const MAX_NODE_MS = 10_000;
type Limits = typeof SHORT;
/** The time that an answer may take beyond the limit. */
const GRACE_MS = 100;

/**
 * The result of a kill of three sessions, by the fault of the connection and its phase.
 * `all`: three killed. `silent`: an error without a kill, because the node did not answer in time. `lost`: the same for a lost connection.
 * `2-silent`, `2-lost`: the first and the third killed, and the second failed for the same reason.
 */
const TABLE = `
                | a new connection                                             | a warm one
                | connect greeting login  identify grants list   kill     answer | idle list kill
delay           | all     all      all    all      all    all    all      all    | all  all  all
narrow          | all     all      all    all      all    all    all      all    | all  all  all
long delay      | silent  silent   silent silent   silent silent 2-silent all    | all  all  2-silent
black hole      | silent  silent   silent silent   silent silent 2-silent all    | all  all  2-silent
node gone       | silent  silent   silent silent   silent silent 2-silent all    | all  all  2-silent
service gone    | lost    lost     lost   lost     lost   lost   2-lost   all    | all  all  2-lost
late close      | lost    lost     lost   lost     lost   lost   2-lost   all    | all  all  2-lost
late at node    | lost    lost     lost   lost     lost   lost   2-lost   all    | all  all  2-lost
reset           | lost    lost     lost   lost     lost   lost   2-lost   all    | all  all  2-lost
cut             | lost    lost     lost   lost     lost   lost   2-lost   all    | all  all  2-lost
`;

interface Hit {
  readonly fault: Fault;
  /** The direction of the fault, unless it is that of the phase. */
  readonly faulty?: Direction;
}

/** The faults by name. The long delay is far beyond every limit. */
const FAULTS: Readonly<Record<string, Hit>> = {
  delay: { fault: { kind: 'delay', ms: 10 } },
  narrow: { fault: { kind: 'bandwidth', bytesPerSecond: 50_000 } },
  'long delay': { fault: { kind: 'delay', ms: 10_000 } },
  'black hole': { fault: { kind: 'black hole' } },
  'node gone': { fault: { kind: 'half-open' }, faulty: 'to client' },
  'service gone': { fault: { kind: 'half-open' }, faulty: 'to server' },
  'late close': { fault: { kind: 'slow close', ms: 150 }, faulty: 'to client' },
  'late at node': { fault: { kind: 'slow close', ms: 150 }, faulty: 'to server' },
  reset: { fault: { kind: 'reset' } },
  cut: { fault: { kind: 'cut' } },
};

type Plan = (proxy: TcpProxy, hit: Hit, secondKill: string) => void;

const PHASES: Readonly<Record<string, Plan>> = {
  connect: afterBytes(0),
  greeting: afterBytes(10),
  // The last word of the login packet.
  login: at('session-control'),
  prepare: at('SET NAMES'),
  identify: at('CONNECTION_ID()'),
  grants: at('SHOW GRANTS'),
  list: at('SHOW PROCESSLIST'),
  kill: (proxy, hit, kill) => {
    at(kill, { faulty: 'to server', when: 'before' })(proxy, hit);
  },
  // A fault right after the KILL would be too early: the end of the connection could overtake the KILL.
  answer: (proxy, hit, kill) => {
    at(kill, { faulty: 'to client', when: 'answered' })(proxy, hit);
  },
  idle: (proxy, { fault, faulty = 'to client' }) => {
    proxy.strike(faulty, fault);
  },
};

function afterBytes(count: number) {
  return (proxy: TcpProxy, { fault, faulty = 'to client' }: Hit): void => {
    proxy.inject('to client', fault, { afterBytes: count, faulty, connections: 1 });
  };
}

function at(text: string, place: { faulty?: Direction; when?: When } = {}) {
  return (proxy: TcpProxy, { fault, faulty = place.faulty ?? 'to client' }: Hit): void => {
    proxy.injectAt('to server', text, fault, { ...place, faulty, connections: 1 });
  };
}

const [, phases = '', ...rows] = TABLE.slice(1, -1).split('\n');
const CASES = rows.flatMap((row) => {
  const [fault = '', ...parts] = row.split('|').map((part) => part.trim());
  return parts.flatMap((part, index) => {
    const columns = phases.split('|')[index + 1]?.trim().split(/ +/) ?? [];
    const cells = part.split(/ +/);
    const isWarm = index === 1;
    return columns.map((phase, column) => ({ fault, phase, isWarm, result: cells[column] ?? '' }));
  });
});

describe.each(servers)('a fault between the service and $flavour $version:', (server) => {
  const opened: ClientSession[] = [];
  let bystander: ClientSession;
  let proxy: TcpProxy;
  let nodes: MysqlNodes;

  beforeAll(async () => {
    bystander = await openSession(server);
  });
  afterAll(() => {
    bystander.close();
  });
  beforeEach(startProxy);
  afterEach(async () => {
    await closeProxy();
    for (const session of opened.splice(0)) session.close();
  });

  it.each(CASES)(
    '$fault at $phase has the result $result (warm connection: $isWarm)',
    async (row) => {
      let ids = await open(3);
      let limits = SHORT;
      let answer = await killWith(row, ids, limits);
      // A busy machine can reach a short limit before the phase. A KILL before it can have ended its session.
      while (proxy.struck === 0 && limits.nodeMs < MAX_NODE_MS) {
        limits = { nodeMs: limits.nodeMs * 3, requestMs: limits.requestMs * 3 };
        await closeProxy();
        await startProxy();
        for (const session of opened.splice(0)) session.close();
        ids = await open(3);
        answer = await killWith(row, ids, limits);
      }
      expect(proxy.struck).toBe(1);
      // Deliver the bytes that the fault held back.
      proxy.heal({ flush: true });
      await expectCorrectOutcomes(answer, ids);
      expect([answer.status, answer.body]).toEqual(expectedAnswer(row.result, ids, limits));
    },
  );

  it('a loss of every KILL leaves no session killed, and no false outcome', async () => {
    const ids = await open(3);
    proxy.injectAt('to server', 'KILL CONNECTION', { kind: 'black hole' }, { when: 'before' });
    const answer = await killInTime(ids);
    expect(answer.body).toMatchObject({ processes_killed: [], processes_not_found: [] });
    await expectCorrectOutcomes(answer, ids);
  });

  it('a delay of each answer ends the request at its limit, with correct outcomes', async () => {
    // The service sends a KILL for each of a few sessions one at a time.
    const ids = await open(8);
    await warm(SHORT);
    // The delay applies to new connections, too: after a timeout, the service would otherwise end the rest at once.
    proxy.strike('to client', { kind: 'delay', ms: 350 });
    proxy.inject('to client', { kind: 'delay', ms: 350 });
    const answer = await killInTime(ids);
    expect(answer.status).toBe(500);
    await expectCorrectOutcomes(answer, ids);
  });

  async function startProxy(): Promise<void> {
    proxy = await TcpProxy.start(server.host, server.port);
    nodes = new MysqlNodes();
  }

  async function closeProxy(): Promise<void> {
    nodes.close();
    await proxy.close();
  }

  /** Opens a connection. A busy machine can reach the limits, so this is repeated. */
  async function warm(limits: Limits): Promise<void> {
    await until('a connection is there', async () => {
      await nodes.warm([node(limits)]);
      return proxy.open > 0;
    });
  }

  /** Sends a kill of these sessions, with the fault in its way. */
  async function killWith(
    row: (typeof CASES)[number],
    ids: readonly bigint[],
    limits: Limits,
  ): Promise<Answer> {
    const hit = FAULTS[row.fault] ?? { fault: { kind: 'cut' } };
    const plan = (): void => PHASES[row.phase]?.(proxy, hit, `KILL CONNECTION ${String(ids[1])}`);
    if (row.phase !== 'idle') plan();
    if (row.isWarm) await warm(limits);
    expect(proxy.open).toBe(row.isWarm ? 1 : 0);
    if (row.phase === 'idle') plan();
    return killInTime(ids, limits);
  }

  async function open(count: number): Promise<bigint[]> {
    opened.push(...(await Promise.all(Array.from({ length: count }, () => openSession(server)))));
    return opened.map(({ id }) => id);
  }

  function node(limits: Limits) {
    return nodeOn(server, {
      host: '127.0.0.1',
      port: proxy.port,
      // The proxy can find a text only without TLS.
      tls: 'disabled',
      connectTimeoutMs: limits.nodeMs,
      listTimeoutMs: limits.nodeMs,
      killTimeoutMs: limits.nodeMs,
    });
  }

  async function killInTime(ids: readonly bigint[], limits = SHORT): Promise<Answer> {
    const requestTimeoutMs = limits.requestMs;
    const service = createService({ registry: [node(limits)], nodes, requestTimeoutMs });
    const { result, ms } = await timed(() => service.kill(ids));
    expect(ms).toBeLessThan(requestTimeoutMs + GRACE_MS);
    return result;
  }

  /** Expects each id in one array, or in none if no KILL was sent. Killed sessions end; failed ones and the bystander live. */
  async function expectCorrectOutcomes({ body }: Answer, ids: readonly bigint[]): Promise<void> {
    const told = body as Partial<Record<string, readonly bigint[]>>;
    const { processes_killed: killed = [], processes_not_found: notFound = [] } = told;
    const { processes_failed: failed = [], processes_unknown: unknown = [] } = told;
    const all = [...killed, ...notFound, ...failed, ...unknown];
    if ('processes_killed' in told) expect(all.sort()).toEqual([...ids].sort());
    await until('the killed are gone', async () => {
      const alive = await liveIds(server);
      return killed.every((id) => !alive.has(id));
    });
    const living = opened.filter(({ id }) => all.length === 0 || failed.includes(id));
    for (const { connection } of [bystander, ...living]) {
      await expect(connection.query('SELECT 1')).resolves.toBeDefined();
    }
  }
});

/** Returns the status and the whole body for a cell of the table. */
function expectedAnswer(
  cell: string,
  [first, second, third]: readonly bigint[],
  { nodeMs }: Limits,
): [number, object] {
  const [why, isSecond] = cell.split('-').reverse();
  const done = { processes_killed: [first, third], processes_not_found: [] };
  if (why === 'all') return [200, { ...done, processes_killed: [first, second, third] }];
  const sentence =
    why === 'silent'
      ? `The node did not answer within ${nodeMs} ms.`
      : 'The connection to the node was lost.';
  const error = { error_code: 'DBS.200005', error_msg: `Server failure. ${sentence}` };
  if (isSecond === undefined) return [500, error];
  const counts = `2 killed, 0 not found, 1 failed, 0 unknown. Failed: ${String(second)}.`;
  const error_msg = `Server failure. ${counts} ${sentence}`;
  return [500, { ...error, error_msg, ...done, processes_failed: [second], processes_unknown: [] }];
}

const TICK_MS = 20;

/** Measures the work, less the time for which this process could not run its timers. */
async function timed<T>(work: () => Promise<T>): Promise<{ readonly result: T; ms: number }> {
  const begun = performance.now();
  let [last, keptMs] = [begun, 0];
  const tick = (): void => {
    const now = performance.now();
    keptMs += Math.max(0, now - last - TICK_MS);
    last = now;
  };
  const ticks = setInterval(tick, TICK_MS);
  const result = await work();
  clearInterval(ticks);
  tick();
  return { result, ms: performance.now() - begun - keptMs };
}
