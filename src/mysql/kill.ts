import type { KillLimits, KillResult, Node } from '../domain/node.ts';
import type { Session } from '../domain/session.ts';
import { ServiceError } from '../errors.ts';
import { NotSentError } from './driver/driver-errors.ts';
import type { DriverConnection, Unless } from './driver/driver-connection.ts';
import { procedureMissing } from './grants.ts';
import type { Flavour } from './identity.ts';
import { nodeTrouble } from './node-trouble.ts';
import { isServerError, mayKillHaveRun, serverErrorNumber } from './server-errors.ts';

/** The limits of a KILL, with what forbids it at the moment when it would be sent. */
interface SendLimits extends KillLimits {
  readonly unless: Unless;
}

/**
 * Ends one listed session. Takes a `Session`, not an id, so that nothing can be killed that was not read from a process list.
 * OK from the server means that it marked the session; it can still be rolling back.
 */
export async function killSession(
  connection: DriverConnection,
  session: Session,
  flavour: Flavour,
  node: Node,
  { sendBy, deadline, unless }: SendLimits,
): Promise<KillResult> {
  try {
    const { warnings } = await connection.query(
      killSql(session, flavour, node),
      node.killTimeoutMs,
      deadline,
      { sendBy, areWarningsRead: flavour === 'tidb', unless },
    );
    // TiDB says OK whatever happened, and what went wrong in a warning.
    if (warnings.length === 0) return { outcome: 'killed' };
    return { outcome: 'refused', trouble: denied(new Error(warnings.join('; '))) };
  } catch (error) {
    if (error instanceof NotSentError) return { outcome: 'not_sent', trouble: error.trouble };
    const result = resultOf(error, node);
    // The node may still work on it, and others would wait behind it: it is found out over another connection.
    if (result.outcome === 'unknown') connection.break();
    return result;
  }
}

/**
 * Ends listed sessions, sending each KILL without waiting for what came of those before. `told` hears what came of each that was sent;
 * returns those that were surely not sent. Where OK says nothing or a procedure is called, each KILL waits for the answer to the last.
 */
export async function killSessionsAhead(
  connection: DriverConnection,
  sessions: readonly Session[],
  flavour: Flavour,
  node: Node,
  limits: SendLimits,
  told: (session: Session, result: KillResult) => void,
): Promise<readonly Session[]> {
  if (flavour === 'tidb' || node.killWith !== 'kill') {
    return killOneByOne(connection, sessions, flavour, node, limits, told);
  }
  const statements = sessions.map((session) => killSql(session, flavour, node));
  let answers = 0;
  const tell = (result: KillResult): void => {
    const session = sessions[answers];
    answers += 1;
    if (session === undefined) return;
    told(session, result);
    if (result.outcome === 'unknown') connection.break();
  };
  const { sent, trouble } = await connection.queryAhead(
    statements,
    node.killTimeoutMs,
    limits,
    (error) => {
      tell(error === undefined ? { outcome: 'killed' } : resultOf(error, node));
    },
  );
  while (answers < sent) tell(resultOf(trouble, node));
  return sessions.slice(sent);
}

async function killOneByOne(
  connection: DriverConnection,
  sessions: readonly Session[],
  flavour: Flavour,
  node: Node,
  limits: SendLimits,
  told: (session: Session, result: KillResult) => void,
): Promise<readonly Session[]> {
  for (const [index, session] of sessions.entries()) {
    const result = await killSession(connection, session, flavour, node, limits);
    if (result.outcome === 'not_sent') return sessions.slice(index);
    told(session, result);
  }
  return [];
}

/** Returns whether the node refused a KILL for a reason that the grants can explain. */
export function isDenial({ outcome, trouble }: KillResult, { killWith }: Node): boolean {
  const cause = outcome === 'refused' ? trouble?.cause : undefined;
  if (killWith === 'rds_kill') {
    return serverErrorNumber(cause) !== undefined && !isServerError(cause, 'ER_SP_DOES_NOT_EXIST');
  }
  return isServerError(cause, 'ER_KILL_DENIED_ERROR', 'ER_SPECIFIC_ACCESS_DENIED_ERROR');
}

// No placeholder: servers make a text of it or cannot prepare it. A bigint prints as digits only.
function killSql({ id }: Session, flavour: Flavour, { killWith }: Node): string {
  const digits = id.toString();
  if (killWith === 'rds_kill') return `CALL mysql.rds_kill(${digits})`;
  // Without the word TIDB it may do nothing and say OK.
  return flavour === 'tidb' ? `KILL TIDB CONNECTION ${digits}` : `KILL CONNECTION ${digits}`;
}

function resultOf(error: unknown, node: Node): KillResult {
  if (isServerError(error, 'ER_NO_SUCH_THREAD')) return { outcome: 'not_found' };
  if (mayKillHaveRun(error)) {
    return { outcome: 'unknown', trouble: nodeTrouble(error, node.connectTimeoutMs) };
  }
  const isCalled = node.killWith === 'rds_kill';
  if (isCalled && isServerError(error, 'ER_SP_DOES_NOT_EXIST')) {
    return { outcome: 'refused', trouble: procedureMissing(error) };
  }
  const isDenied = isCalled || isServerError(error, 'ER_KILL_DENIED_ERROR');
  return {
    outcome: 'refused',
    trouble: isDenied
      ? denied(error, serverErrorNumber(error))
      : nodeTrouble(error, node.connectTimeoutMs),
  };
}

function denied(cause: unknown, number?: number): ServiceError {
  const [en, zh] =
    number === undefined ? ['a warning', '警告'] : [`error ${number}`, `错误${number}`];
  return new ServiceError(
    'node_unavailable',
    {
      'en-us': `The node does not let the control account end a session (${en}): it is protected, or a privilege is missing.`,
      'zh-cn': `节点不允许控制账号终止会话（${zh}）：会话受保护，或缺少权限。`,
    },
    { cause },
  );
}
