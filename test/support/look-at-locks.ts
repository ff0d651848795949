import { lockReport, type LockReport } from '../../src/domain/lock-report.ts';
import { userSessions } from '../../src/domain/client-filter.ts';
import type { Node } from '../../src/domain/node.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';

/** Returns who blocks whom on a node, over a connection of its own: nothing is shared with an earlier look. */
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
