import { isNativeError } from 'node:util/types';
import type { Sentence } from '../errors.ts';
import { LOST } from './driver/driver-connection.ts';

interface ServerError {
  readonly number: number;
  /** Undefined if the message only gives the number, or if the meaning depends on the statement. */
  readonly meaning?: keyof typeof MEANINGS;
  /**
   * True if the error ended our connection or the KILL itself: the KILL may have run. After every other error of the server, the KILL has
   * not run.
   */
  readonly mayKillHaveRun?: true;
}

/** The sentences for the caller, by the meaning of a server's error. */
export const MEANINGS = {
  full: {
    'en-us': 'The node has no connection left for the control account.',
    'zh-cn': '节点连接数已满，控制账号无法连接。',
  },
  offline: {
    'en-us':
      'The node is in offline mode and refuses the control account. Set offline_mode = OFF on the node, or retry later.',
    'zh-cn': '节点处于离线模式，拒绝控制账号登录。请在节点上设置offline_mode = OFF，或稍后重试。',
  },
  blocked: {
    'en-us':
      'The node blocks this service after too many connection errors. Run FLUSH HOSTS on the node.',
    'zh-cn': '连接错误过多，节点已拒绝本服务。请在节点上执行FLUSH HOSTS。',
  },
  refused: {
    'en-us': 'The node refuses the control account.',
    'zh-cn': '节点拒绝控制账号登录。',
  },
  privilege: {
    'en-us': 'The control account lacks a privilege on the node.',
    'zh-cn': '控制账号在节点上缺少权限。',
  },
  lost: LOST,
} satisfies Record<string, Sentence>;

/** The errors that the service treats specially, by the server's symbol. */
const SERVER_ERRORS = {
  ER_CON_COUNT_ERROR: { number: 1040, meaning: 'full' },
  ER_TOO_MANY_USER_CONNECTIONS: { number: 1203, meaning: 'full' },
  ER_USER_LIMIT_REACHED: { number: 1226, meaning: 'full' },
  ER_SERVER_OFFLINE_MODE: { number: 3032, meaning: 'offline' },
  ER_HOST_IS_BLOCKED: { number: 1129, meaning: 'blocked' },
  ER_DBACCESS_DENIED_ERROR: { number: 1044, meaning: 'refused' },
  ER_ACCESS_DENIED_ERROR: { number: 1045, meaning: 'refused' },
  ER_HOST_NOT_PRIVILEGED: { number: 1130, meaning: 'refused' },
  ER_ACCESS_DENIED_NO_PASSWORD_ERROR: { number: 1698, meaning: 'refused' },
  ER_ACCOUNT_HAS_BEEN_LOCKED: { number: 3118, meaning: 'refused' },
  ER_SECURE_TRANSPORT_REQUIRED: { number: 3159, meaning: 'refused' },
  ER_TABLEACCESS_DENIED_ERROR: { number: 1142, meaning: 'privilege' },
  // TiDB also returns this error for a KILL without the privilege.
  ER_SPECIFIC_ACCESS_DENIED_ERROR: { number: 1227, meaning: 'privilege' },
  ER_SERVER_SHUTDOWN: { number: 1053, meaning: 'lost', mayKillHaveRun: true },
  ER_ABORTING_CONNECTION: { number: 1152, meaning: 'lost', mayKillHaveRun: true },
  ER_NET_READ_ERROR: { number: 1158, meaning: 'lost', mayKillHaveRun: true },
  ER_NET_READ_INTERRUPTED: { number: 1159, meaning: 'lost', mayKillHaveRun: true },
  ER_NET_ERROR_ON_WRITE: { number: 1160, meaning: 'lost', mayKillHaveRun: true },
  ER_NET_WRITE_INTERRUPTED: { number: 1161, meaning: 'lost', mayKillHaveRun: true },
  ER_NEW_ABORTING_CONNECTION: { number: 1184, meaning: 'lost', mayKillHaveRun: true },
  ER_QUERY_INTERRUPTED: { number: 1317, meaning: 'lost', mayKillHaveRun: true },
  // MariaDB only.
  ER_CONNECTION_KILLED: { number: 1927, meaning: 'lost', mayKillHaveRun: true },
  ER_CLIENT_INTERACTION_TIMEOUT: { number: 4031, meaning: 'lost', mayKillHaveRun: true },
  // MariaDB only.
  ER_STATEMENT_TIMEOUT: { number: 1969, mayKillHaveRun: true },
  ER_QUERY_TIMEOUT: { number: 3024 },
  ER_NO_SUCH_THREAD: { number: 1094 },
  ER_KILL_DENIED_ERROR: { number: 1095 },
  ER_SP_DOES_NOT_EXIST: { number: 1305 },
  ER_BAD_DB_ERROR: { number: 1049 },
  ER_BAD_FIELD_ERROR: { number: 1054 },
  ER_PARSE_ERROR: { number: 1064 },
  ER_COLUMNACCESS_DENIED_ERROR: { number: 1143 },
  ER_NO_SUCH_TABLE: { number: 1146 },
  // MariaDB: the session runs another statement.
  ER_NO_SUCH_QUERY: { number: 1957 },
  // MySQL only.
  ER_CANNOT_CONVERT_STRING: { number: 3854 },
} satisfies Record<string, ServerError>;

/** The server's name for an error. */
type ServerErrorSymbol = keyof typeof SERVER_ERRORS;

const BY_NUMBER: ReadonlyMap<number | undefined, ServerError> = new Map(
  Object.values<ServerError>(SERVER_ERRORS).map((error) => [error.number, error]),
);

/** Returns the number of an error that the server answered with; undefined for an error of the connection. */
export function serverErrorNumber(error: unknown): number | undefined {
  if (!isNativeError(error) || !('errno' in error) || !('sqlState' in error)) return undefined;
  return typeof error.errno === 'number' && error.errno > 0 ? error.errno : undefined;
}

/** Returns true if the server answered with one of these errors. */
export function isServerError(error: unknown, ...symbols: readonly ServerErrorSymbol[]): boolean {
  const number = serverErrorNumber(error);
  return symbols.some((symbol) => SERVER_ERRORS[symbol].number === number);
}

/**
 * Returns the answer; undefined if the server returned an error, such as for a table that the account may not read. Throws other errors.
 */
export async function ifAllowed<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (serverErrorNumber(error) === undefined) throw error;
    return undefined;
  }
}

/** Returns true if the account may not read a table or a column of it, or the server does not have it. */
export function isTableUnreadable(error: unknown): boolean {
  return isServerError(
    error,
    'ER_DBACCESS_DENIED_ERROR',
    'ER_TABLEACCESS_DENIED_ERROR',
    'ER_COLUMNACCESS_DENIED_ERROR',
    'ER_BAD_DB_ERROR',
    'ER_BAD_FIELD_ERROR',
    'ER_NO_SUCH_TABLE',
    'ER_PARSE_ERROR',
  );
}

/** Returns true if a KILL that failed with this error may have run, as after any error of the connection. */
export function mayKillHaveRun(error: unknown): boolean {
  const number = serverErrorNumber(error);
  return number === undefined || BY_NUMBER.get(number)?.mayKillHaveRun === true;
}

/** Returns the meaning of a server's error; undefined if the table has none, and for other errors. */
export function meaningOf(error: unknown): keyof typeof MEANINGS | undefined {
  return BY_NUMBER.get(serverErrorNumber(error))?.meaning;
}
