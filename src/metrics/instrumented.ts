import type { Audit } from '../domain/termination.ts';
import type { Caller, Credentials, Identity } from '../domain/caller.ts';
import type { ControlConnection, Nodes } from '../domain/node.ts';
import { ServiceError } from '../errors.ts';

/** The stages of a request, in their order. */
export const STAGES = ['queue', 'auth', 'connect', 'list', 'audit', 'kill', 'wait'] as const;

/** Each stage hears of how many milliseconds it has taken. */
export type Stages = Readonly<Record<(typeof STAGES)[number], (milliseconds: number) => void>>;

/** The same identity; how long it takes to find out who is calling is told. */
export function instrumentIdentity(identity: Identity, { auth }: Stages): Identity {
  const prove = async (credentials: Credentials): Promise<Caller> =>
    identity.authenticate(credentials);
  return { authenticate: (credentials) => timed(auth, prove(credentials)) };
}

/** The same audit; how long it takes until an intent is on record is told. */
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

/** The same nodes; how long it takes until a connection is at hand, and until it has answered, is told. */
export function instrumentNodes(nodes: Nodes, stages: Stages): Nodes {
  return {
    probe: (node, deadline) => nodes.probe(node, deadline),
    async withConnection(node, deadline, work) {
      const begun = performance.now();
      // Once: with a connection that broke at once the work begins again.
      let tell: ((milliseconds: number) => void) | undefined = stages.connect;
      const told = (): void => {
        tell?.(performance.now() - begun);
        tell = undefined;
      };
      try {
        return await nodes.withConnection(node, deadline, (connection) => {
          told();
          return work(instrumentConnection(connection, stages));
        });
      } catch (error) {
        // Who was turned away at once was not kept waiting by the node.
        if (!(error instanceof ServiceError && error.code === 'overloaded')) told();
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
    kill: (session, limits) => timed(stages.kill, connection.kill(session, limits)),
    killAhead: (sessions, limits, told) =>
      timed(stages.kill, connection.killAhead(sessions, limits, told)),
    predictRefusals: (sessions, deadline) => connection.predictRefusals(sessions, deadline),
    transactions: (deadline) => connection.transactions(deadline),
  };
}

async function timed<T>(tell: (milliseconds: number) => void, work: Promise<T>): Promise<T> {
  const begun = performance.now();
  try {
    return await work;
  } finally {
    tell(performance.now() - begun);
  }
}
