import type { KillResult } from '../domain/node.ts';
import type { Session } from '../domain/session.ts';
import { ServiceError } from '../errors.ts';
import type { Connected } from './connection.ts';
import { nodeTrouble, serverErrorNumber } from './server-errors.ts';

const NO_SUCH_THREAD = 1094;
const KILL_DENIED = 1095;

/** Our own connection was ended, or the server is going: what it did with the KILL before cannot be told from these. */
const ENDED_MEANWHILE: ReadonlySet<number> = new Set([
  1053, 1152, 1158, 1159, 1160, 1161, 1184, 1317, 1927, 4031,
]);

/**
 * Ends one listed session. Takes a `Session`, not an id, so that nothing can be killed that was not read from a process list.
 * OK from the server means that it marked the session; it can still be rolling back.
 */
export async function killSession(
  connection: Connected,
  session: Session,
  timeoutMs: number,
): Promise<KillResult> {
  if (connection.isBroken()) return { outcome: 'not_sent', trouble: LOST };
  try {
    // No placeholder: servers make a text of it or cannot prepare it. A bigint prints as digits only.
    await connection.query(`KILL CONNECTION ${session.id.toString()}`, timeoutMs);
    return { outcome: 'killed' };
  } catch (error) {
    const number = serverErrorNumber(error);
    if (number === NO_SUCH_THREAD) return { outcome: 'not_found' };
    if (number === undefined || ENDED_MEANWHILE.has(number)) {
      return { outcome: 'unknown', trouble: nodeTrouble(error, timeoutMs) };
    }
    return {
      outcome: 'refused',
      trouble: number === KILL_DENIED ? denied(error) : nodeTrouble(error, timeoutMs),
    };
  }
}

const LOST = new ServiceError('node_unavailable', {
  'en-us': 'The connection to the node was lost before the KILL could be sent.',
  'zh-cn': '在发送KILL之前与节点的连接已断开。',
});

function denied(cause: unknown): ServiceError {
  return new ServiceError(
    'node_unavailable',
    {
      'en-us':
        'The node does not let the control account end a session (error 1095): it is protected, or a privilege is missing.',
      'zh-cn': '节点不允许控制账号终止会话（错误1095）：会话受保护，或缺少权限。',
    },
    { cause },
  );
}
