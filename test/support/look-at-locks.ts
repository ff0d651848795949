import { lockReport, type LockReport } from '../../src/domain/lock-report.ts';
import { userSessions } from '../../src/domain/client-filter.ts';
import type { Node } from '../../src/domain/node.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { LOCK_QUERY_MS } from '../../src/mysql/lock-statement.ts';
import { createService, type Answer, type TestService } from './service.ts';
import { until } from './until.ts';

/** Returns the lock report of a node over a new connection, so that no state of an earlier report is reused. */
export async function lookAtLocks(node: Node): Promise<LockReport> {
  const nodes = new MysqlNodes();
  try {
    return await nodes.withConnection(node, Infinity, async (connection) => {
      const list = await connection.list(Infinity);
      const reading = await connection.locks(list, Infinity);
      const listed = userSessions(list.rows, {
        ownIds: connection.ours().ids,
        controlAccount: node.user,
        internalUsers: [],
        requireClientPort: true,
      });
      return lockReport(reading, listed);
    });
  } finally {
    nodes.close();
  }
}

/** The answer to GET …/blockers. */
export interface BlockersAnswer {
  readonly blockers: readonly ({ readonly id: bigint | null } & Readonly<
    Record<string, unknown>
  >)[];
  readonly waits: readonly Readonly<Record<string, unknown>>[];
  readonly sources: object;
}

/** Runs `work` with a service over this node, whose connections and shared reads are its own. */
export async function withService<T>(
  node: Node,
  work: (service: TestService) => Promise<T>,
): Promise<T> {
  const nodes = new MysqlNodes();
  try {
    return await work(createService({ registry: [node], nodes }));
  } finally {
    nodes.close();
  }
}

/** GET …/blockers. A busy machine can need more than the limit of a lock query; then the read is repeated. */
export async function blockersOf(service: TestService): Promise<BlockersAnswer> {
  let answer: BlockersAnswer | undefined;
  const isInTime = async (): Promise<boolean> => {
    const { status, body } = await service.get('/blockers');
    if (status !== 200) throw new Error(`the status is ${status}`);
    answer = body as BlockersAnswer;
    return !JSON.stringify(answer.sources).includes(`within ${LOCK_QUERY_MS} ms`);
  };
  await until('the node shows its locks in time', isInTime, 60_000, 500);
  return answer as BlockersAnswer;
}

/** GET …/process/lock-wait. */
export async function lockWaitOf(service: TestService, pid: bigint): Promise<Answer> {
  return service.get(`/process/lock-wait?pid=${pid}`);
}
