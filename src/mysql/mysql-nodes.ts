import type { ControlConnection, Deadline, Node, Nodes } from '../domain/node.ts';
import { openConnection, type Connected } from './connection.ts';
import { requireGrants } from './grants.ts';
import { identify } from './identity.ts';
import { killSession } from './kill.ts';
import { OwnConnections } from './own-connections.ts';
import { readProcessList } from './process-list.ts';
import { readTransactions } from './transactions.ts';
import { nodeTrouble } from './server-errors.ts';

/** Nodes over the MySQL protocol. Each use opens a connection of its own. */
export function createMysqlNodes(): Nodes {
  const own = new OwnConnections();
  return {
    async withConnection(node, deadline, work) {
      const opening = own.opening(node.nodeId);
      let connected: Connected;
      try {
        connected = await orTrouble(node, openConnection(node, deadline));
      } catch (error) {
        opening.end();
        throw error;
      }
      try {
        const connection = await controlConnection(connected, node, deadline, own).finally(
          opening.end,
        );
        return await work(connection);
      } finally {
        connected.close();
        own.closed(node.nodeId, connected);
      }
    },
  };
}

async function controlConnection(
  connected: Connected,
  node: Node,
  deadline: Deadline,
  own: OwnConnections,
): Promise<ControlConnection> {
  const identity = await orTrouble(node, identify(connected, node, deadline));
  const { ownId, flavour, incarnation } = identity;
  await orTrouble(node, requireGrants(connected, identity, node, deadline));
  own.opened(node.nodeId, connected, ownId);
  return {
    id: ownId,
    incarnation,
    listsTheDying: flavour === 'tidb',
    hidesRollbacks: flavour === 'mysql',
    get ours() {
      return own.of(node.nodeId);
    },
    list: (until) => orTrouble(node, readProcessList(connected, ownId, node, until)),
    kill: (session, until) => killSession(connected, session, flavour, node, until),
    transactions: (until) => orTrouble(node, readTransactions(connected, flavour, node, until)),
  };
}

async function orTrouble<T>(node: Node, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw nodeTrouble(error, node.connectTimeoutMs);
  }
}
