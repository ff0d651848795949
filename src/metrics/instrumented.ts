import type { Audit } from '../domain/termination.ts';
import type { Caller, Credentials, Identity } from '../domain/caller.ts';
import type { ControlConnection, Nodes } from '../domain/node.ts';
import { ServiceError } from '../errors.ts';

/** The stages of a request, in order. */
export const STAGES = ['queue', 'auth', 'connect', 'list', 'audit', 'kill', 'wait'] as const;

/** Records the duration of a stage, in milliseconds. */
export type Stages = Readonly<Record<(typeof STAGES)[number], (milliseconds: number) => void>>;

/** Returns an identity that also records the time until the caller is known. */
export function instrumentIdentity(identity: Identity, { auth }: Stages): Identity {
  const prove = async (credentials: Credentials): Promise<Caller> =>
    identity.authenticate(credentials);
  return { authenticate: (credentials) => timed(auth, prove(credentials)) };
}

/** Returns an audit that also records the time until an intent is on disk. */
export function instrumentAudit(audit: Audit, stages: Stages): Audit {
  return {
    intend: (intent, deadline) => timed(stages.audit, audit.intend(intent, deadline)),
    conclude: (conclusion) => {
      audit.conclude(conclusion);
    },
    deny: (denial) => {
      audit.deny(denial);
    },
  };
}

/** Returns nodes that also record the time until a connection is ready, and the duration of each list and KILL. */
export function instrumentNodes(nodes: Nodes, stages: Stages): Nodes {
  return {
    probe: (node, deadline) => nodes.probe(node, deadline),
    async withConnection(node, deadline, work) {
      const begun = performance.now();
      // Recorded once: if the connection breaks early, the work runs again on another.
      let isRecorded = false;
      const recordConnect = (): void => {
        if (!isRecorded) stages.connect(performance.now() - begun);
        isRecorded = true;
      };
      try {
        return await nodes.withConnection(node, deadline, (connection) => {
          recordConnect();
          return work(instrumentConnection(connection, stages));
        });
      } catch (error) {
        // A request that is refused immediately did not wait for the node.
        if (!(error instanceof ServiceError && error.code === 'overloaded')) recordConnect();
        throw error;
      }
    },
  };
}

function instrumentConnection(connection: ControlConnection, stages: Stages): ControlConnection {
  const { id, incarnation, listsTheDying, hidesRollbacks } = connection;
  return {
    id,
    incarnation,
    listsTheDying,
    hidesRollbacks,
    ours: () => connection.ours(),
    list: (deadline, wanted) => timed(stages.list, connection.list(deadline, wanted)),
    kill: (...kill) => timed(stages.kill, connection.kill(...kill)),
    killAhead: (sessions, limits, onResult) =>
      timed(stages.kill, connection.killAhead(sessions, limits, onResult)),
    predictRefusals: (...kills) => connection.predictRefusals(...kills),
    statements: (sessions, deadline) => connection.statements(sessions, deadline),
    describe: (session, deadline) => connection.describe(session, deadline),
    transactions: (deadline) => connection.transactions(deadline),
    locks: (list, deadline) => connection.locks(list, deadline),
  };
}

async function timed<T>(record: (milliseconds: number) => void, work: Promise<T>): Promise<T> {
  const begun = performance.now();
  try {
    return await work;
  } finally {
    record(performance.now() - begun);
  }
}
