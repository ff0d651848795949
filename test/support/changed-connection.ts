import type { ControlConnection } from '../../src/domain/node.ts';

/** Returns a control connection with changed members. It forwards all other calls to the given connection. */
export function changedConnection(
  connection: ControlConnection,
  changes: Partial<ControlConnection>,
): ControlConnection {
  const { id, incarnation, listsTheDying, hidesRollbacks } = connection;
  return {
    ...{ id, incarnation, listsTheDying, hidesRollbacks },
    ours: () => connection.ours(),
    list: (...list) => connection.list(...list),
    kill: (...kill) => connection.kill(...kill),
    killAhead: (...kills) => connection.killAhead(...kills),
    predictRefusals: (...kills) => connection.predictRefusals(...kills),
    statements: (...statements) => connection.statements(...statements),
    describe: (session, deadline) => connection.describe(session, deadline),
    transactions: (deadline) => connection.transactions(deadline),
    locks: (list, deadline) => connection.locks(list, deadline),
    ...changes,
  };
}
