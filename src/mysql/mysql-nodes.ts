import type { ControlConnection, Node, Nodes } from '../domain/node.ts';
import { ServiceError } from '../errors.ts';
import { openConnection, type Connected } from './connection.ts';
import { killSession } from './kill.ts';
import { readOwnId, readProcessList } from './process-list.ts';
import { nodeTrouble } from './server-errors.ts';

/** Nodes over the MySQL protocol. Each use opens a connection of its own. */
export function createMysqlNodes(): Nodes {
  return {
    async withConnection(node, work) {
      const connected = await connect(node);
      try {
        return await work(await controlConnection(connected, node));
      } finally {
        connected.close();
      }
    },
  };
}

async function connect(node: Node): Promise<Connected> {
  try {
    return await openConnection(node);
  } catch (error) {
    throw nodeTrouble(error, node.connectTimeoutMs);
  }
}

async function controlConnection(connected: Connected, node: Node): Promise<ControlConnection> {
  const asked = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer;
    } catch (error) {
      throw nodeTrouble(error, node.connectTimeoutMs);
    }
  };
  if (node.serverUuid !== undefined) await asked(requireServer(connected, node.serverUuid, node));
  const ownId = await asked(readOwnId(connected, node.listTimeoutMs));
  return {
    list: () => asked(readProcessList(connected, ownId, node.listTimeoutMs)),
    kill: (session) => killSession(connected, session, node.killTimeoutMs),
  };
}

async function requireServer(connected: Connected, uuid: string, node: Node): Promise<void> {
  const { rows } = await connected.query('SELECT @@server_uuid', node.listTimeoutMs);
  if (String(rows[0]?.[0]).toLowerCase() === uuid) return;
  throw new ServiceError('node_unavailable', {
    'en-us':
      'Another server than the configured one answers at the address of the node; nothing was sent to it.',
    'zh-cn': '节点地址上的服务器与配置的server_uuid不符；未向其发送任何请求。',
  });
}
