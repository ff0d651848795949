import type { KillLimits, KillResult, Node } from '../domain/node.ts';
import type { Session } from '../domain/session.ts';
import type { RunningStatement } from '../domain/statement.ts';
import { ServiceError } from '../errors.ts';
import { NotSentError } from './driver/driver-connection.ts';
import type { DriverConnection, Unless } from './driver/driver-connection.ts';
import { procedureMissing } from './grants.ts';
import type { Flavour } from './identity.ts';
import { nodeTrouble } from './node-trouble.ts';
import { isServerError, mayKillHaveRun, serverErrorNumber } from './server-errors.ts';

/** The open connection over which a KILL is sent, and the node that it reaches. */
export interface KillTarget {
  readonly connection: DriverConnection;
  readonly flavour: Flavour;
  readonly node: Node;
}

/** The time limits of a KILL, with a check at the moment of sending. */
export interface SendLimits extends KillLimits {
  readonly unless: Unless;
}

/**
 * Sends KILL for one listed session, and returns the outcome. Promise 1: it takes a `Session`, not an id, so every id comes from a process
 * list. OK from the server means that it marked the session; its transaction can still roll back. With `statement` the KILL is for that
 * statement alone. Never throws.
 */
export async function killSession(
  { connection, flavour, node }: KillTarget,
  session: Session,
  { sendBy, deadline, unless }: SendLimits,
  statement?: RunningStatement,
): Promise<KillResult> {
  try {
    const { warnings } = await connection.query(
      killSql(session, flavour, node, statement),
      node.killTimeoutMs,
      deadline,
      { sendBy, areWarningsRead: flavour === 'tidb', unless },
    );
    // TiDB answers OK in any case, and reports an error as a warning.
    if (warnings.length === 0) return { outcome: 'killed' };
    return { outcome: 'refused', trouble: denied(new Error(warnings.join('; '))) };
  } catch (error) {
    if (error instanceof NotSentError) return { outcome: 'not_sent', trouble: error.trouble };
    const result = resultOf(error, node, statement);
    // The node may still work on the KILL, and statements behind it would wait: another connection finds the outcome.
    if (result.outcome === 'unknown') connection.break();
    return result;
  }
}

/**
 * Sends KILL for listed sessions, many before the first is answered. On TiDB, and with `rds_kill`, each waits for the previous answer.
 * Calls `onResult` with the outcome of each KILL that was sent, in their order. Returns the sessions whose KILL was not sent. Never throws.
 */
export async function killSessionsAhead(
  target: KillTarget,
  sessions: readonly Session[],
  limits: SendLimits,
  onResult: (session: Session, result: KillResult) => void,
): Promise<readonly Session[]> {
  const { connection, flavour, node } = target;
  if (flavour === 'tidb' || node.killWith !== 'kill') {
    return killOneByOne(target, sessions, limits, onResult);
  }
  const statements = sessions.map((session) => killSql(session, flavour, node));
  let answers = 0;
  const take = (result: KillResult): void => {
    const session = sessions[answers];
    answers += 1;
    if (session === undefined) return;
    onResult(session, result);
    if (result.outcome === 'unknown') connection.break();
  };
  // Never rejects: `trouble` is the error that ended it early.
  const { sent, trouble } = await connection.queryAhead(
    statements,
    node.killTimeoutMs,
    limits,
    (error) => {
      take(error === undefined ? { outcome: 'killed' } : resultOf(error, node));
    },
  );
  // The KILLs that were sent and not answered get the error of the connection.
  while (answers < sent) take(resultOf(trouble, node));
  return sessions.slice(sent);
}

async function killOneByOne(
  target: KillTarget,
  sessions: readonly Session[],
  limits: SendLimits,
  onResult: (session: Session, result: KillResult) => void,
): Promise<readonly Session[]> {
  for (const [index, session] of sessions.entries()) {
    const result = await killSession(target, session, limits);
    if (result.outcome === 'not_sent') return sessions.slice(index);
    onResult(session, result);
  }
  return [];
}

// Promise 1: a bigint prints as decimal digits only. A placeholder would send the id as a text, or servers could not prepare the statement.
function killSql(
  { id }: Session,
  flavour: Flavour,
  { killWith }: Node,
  statement?: RunningStatement,
): string {
  const digits = id.toString();
  if (statement !== undefined) return killStatementSql(digits, statement, flavour, killWith);
  if (killWith === 'rds_kill') return `CALL mysql.rds_kill(${digits})`;
  // Without the word TIDB the server can answer OK and do nothing.
  return flavour === 'tidb' ? `KILL TIDB CONNECTION ${digits}` : `KILL CONNECTION ${digits}`;
}

function killStatementSql(
  digits: string,
  { id, isKilledById }: RunningStatement,
  flavour: Flavour,
  killWith: Node['killWith'],
): string {
  if (killWith === 'rds_kill') return `CALL mysql.rds_kill_query(${digits})`;
  if (isKilledById && id !== undefined) return `KILL QUERY ID ${id.toString()}`;
  return flavour === 'tidb' ? `KILL TIDB QUERY ${digits}` : `KILL QUERY ${digits}`;
}

function resultOf(error: unknown, node: Node, statement?: RunningStatement): KillResult {
  if (isServerError(error, 'ER_NO_SUCH_THREAD', 'ER_NO_SUCH_QUERY'))
    return { outcome: 'not_found' };
  if (mayKillHaveRun(error)) {
    return { outcome: 'unknown', trouble: nodeTrouble(error, node.connectTimeoutMs) };
  }
  const isCalled = node.killWith === 'rds_kill';
  if (isCalled && isServerError(error, 'ER_SP_DOES_NOT_EXIST')) {
    return {
      outcome: 'refused',
      trouble: procedureMissing(procedureFor(statement !== undefined), error),
    };
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

/** Returns the procedure that ends sessions, or statements, on a node with `kill_with: rds_kill`. */
export function procedureFor(isStatement: boolean): 'rds_kill' | 'rds_kill_query' {
  return isStatement ? 'rds_kill_query' : 'rds_kill';
}

/** Returns true if the node refused a KILL for a reason that the grants can explain. */
export function isDenial({ outcome, trouble }: KillResult, { killWith }: Node): boolean {
  const cause = outcome === 'refused' ? trouble?.cause : undefined;
  if (killWith === 'rds_kill') {
    return serverErrorNumber(cause) !== undefined && !isServerError(cause, 'ER_SP_DOES_NOT_EXIST');
  }
  return isServerError(cause, 'ER_KILL_DENIED_ERROR', 'ER_SPECIFIC_ACCESS_DENIED_ERROR');
}
