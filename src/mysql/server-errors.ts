import { isNativeError } from 'node:util/types';
import { limitReached, type Deadline } from '../domain/deadline.ts';
import { ServiceError, type Sentence } from '../errors.ts';

/** A statement that the node did not answer in time. */
export class DeadlineError extends Error {
  readonly code = 'DEADLINE';
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super(`No answer within ${timeoutMs} ms`);
    this.timeoutMs = timeoutMs;
  }
}

/** A node whose certificate is not the one that it should have. */
export class CertificateError extends Error {
  readonly code = 'CERTIFICATE';

  constructor(cause: unknown) {
    super('The certificate cannot be verified', { cause });
  }
}

/** A password that the node asks for and that is not sent without TLS. */
export class KeylessError extends Error {
  constructor() {
    super('The password would go over a line without TLS, under a key of whoever asks');
  }
}

/** A statement that was surely not sent, and why. */
export class NotSentError extends Error {
  readonly trouble: ServiceError;

  constructor(trouble: ServiceError) {
    super(trouble.message);
    this.trouble = trouble;
  }
}

/** The line broke. */
export function connectionLost(): ServiceError {
  return new ServiceError('node_unavailable', SENTENCES.lost);
}

/** The error's code: Node's (`ECONNREFUSED`), the driver's (`PROTOCOL_…`) or the server's symbol (`ER_…`). */
export function codeOf(error: unknown): string | undefined {
  return isNativeError(error) && 'code' in error ? String(error.code) : undefined;
}

/** The number of an error that the server itself answered; undefined when the trouble is with the line. */
export function serverErrorNumber(error: unknown): number | undefined {
  if (!isNativeError(error) || !('errno' in error) || !('sqlState' in error)) return undefined;
  return typeof error.errno === 'number' && error.errno > 0 ? error.errno : undefined;
}

/**
 * How long connecting may take that has this limit of its own, in whole milliseconds, at least one.
 * Throws `node_unavailable` when the deadline has passed.
 */
export function timeFor(limitMs: number, deadline: Deadline): number {
  const left = Math.ceil(deadline - performance.now());
  if (left <= 0) throw limitReached();
  return Math.min(limitMs, left);
}

/** Why a node could not be spoken to, as the caller may hear it. `connectTimeoutMs` is what the connection was given. */
export function nodeTrouble(error: unknown, connectTimeoutMs: number): ServiceError {
  if (error instanceof ServiceError) return error;
  if (error instanceof NotSentError) return error.trouble;
  return new ServiceError('node_unavailable', sentenceFor(error, connectTimeoutMs), {
    cause: error,
  });
}

/** Whether the way in is shut, so that another one is to be tried: not when who we are, or who is there, is the trouble. */
export function isEndpointUnavailable(found: unknown): boolean {
  const error = mainPortError(found);
  if (error instanceof ServiceError || error === undefined) return false;
  const number = serverErrorNumber(error);
  if (number !== undefined)
    return isFull(error) || number === 1129 || BY_ERRNO[number] === SENTENCES.lost;
  return (
    !(error instanceof CertificateError) &&
    codeOf(error) !== 'HANDSHAKE_NO_SSL_SUPPORT' &&
    !isPluginTrouble(error)
  );
}

/** Whether the node has no connection left. */
export function isFull(error: unknown): boolean {
  return BY_ERRNO[serverErrorNumber(mainPortError(error)) ?? 0] === SENTENCES.full;
}

/** Returns the main port's own error, also if the spare port's trouble is reported in its place. */
function mainPortError(error: unknown): unknown {
  return error instanceof ServiceError ? error.cause : error;
}

/** Whether the node does not let the control account in, for whatever reason. */
export function isAccountRefused(trouble: Sentence): boolean {
  return trouble === SENTENCES.refused;
}

const SENTENCES = {
  unreachable: { 'en-us': 'The node cannot be reached.', 'zh-cn': '无法连接节点。' },
  lost: { 'en-us': 'The connection to the node was lost.', 'zh-cn': '与节点的连接已断开。' },
  full: {
    'en-us': 'The node has no connection left for the control account.',
    'zh-cn': '节点连接数已满，控制账号无法连接。',
  },
  blocked: {
    'en-us':
      'The node blocks this service after too many connection errors (FLUSH HOSTS on it helps).',
    'zh-cn': '连接错误过多，节点已拒绝本服务（可在节点上执行FLUSH HOSTS）。',
  },
  refused: {
    'en-us': 'The node refuses the control account.',
    'zh-cn': '节点拒绝控制账号登录。',
  },
  privilege: {
    'en-us': 'The control account lacks a privilege on the node.',
    'zh-cn': '控制账号在节点上缺少权限。',
  },
  plaintext: {
    'en-us':
      'The node offers no TLS. Without it the password of the control account is sent over the loopback interface only, and only where the configuration does not ask for TLS.',
    'zh-cn':
      '节点不支持TLS。没有TLS时，控制账号的密码仅在本机回环接口上且配置未要求TLS时才会发送。',
  },
  keyless: {
    'en-us':
      'The node asks for the password of the control account, which is not sent without TLS: give the node TLS.',
    'zh-cn': '节点要求提供控制账号的密码，而没有TLS时不会发送密码：请为节点启用TLS。',
  },
  plugin: {
    'en-us':
      'The control account has an authentication plugin that is not supported: give it mysql_native_password, caching_sha2_password or sha256_password.',
    'zh-cn':
      '不支持控制账号的认证插件：请改用mysql_native_password、caching_sha2_password或sha256_password。',
  },
  certificate: {
    'en-us': "The node's TLS certificate cannot be verified.",
    'zh-cn': '无法验证节点的TLS证书。',
  },
} satisfies Record<string, Sentence>;

const BY_ERRNO: Readonly<Record<number, Sentence>> = {
  1040: SENTENCES.full,
  1203: SENTENCES.full,
  1226: SENTENCES.full,
  3032: SENTENCES.full,
  1129: SENTENCES.blocked,
  1044: SENTENCES.refused,
  1045: SENTENCES.refused,
  1130: SENTENCES.refused,
  1698: SENTENCES.refused,
  3118: SENTENCES.refused,
  3159: SENTENCES.refused,
  1053: SENTENCES.lost,
  1152: SENTENCES.lost,
  1158: SENTENCES.lost,
  1159: SENTENCES.lost,
  1160: SENTENCES.lost,
  1161: SENTENCES.lost,
  1184: SENTENCES.lost,
  1317: SENTENCES.lost,
  1927: SENTENCES.lost,
  4031: SENTENCES.lost,
  1142: SENTENCES.privilege,
  1227: SENTENCES.privilege,
};

function sentenceFor(error: unknown, connectTimeoutMs: number): Sentence {
  if (error instanceof DeadlineError) return noAnswerWithin(error.timeoutMs);
  const number = serverErrorNumber(error);
  if (number !== undefined) return BY_ERRNO[number] ?? answeredWith(number);
  const code = codeOf(error) ?? '';
  if (code === 'ETIMEDOUT') return noAnswerWithin(connectTimeoutMs);
  if (code === 'HANDSHAKE_NO_SSL_SUPPORT') return SENTENCES.plaintext;
  if (error instanceof CertificateError) return SENTENCES.certificate;
  if (error instanceof KeylessError) return SENTENCES.keyless;
  if (isPluginTrouble(error)) return SENTENCES.plugin;
  if (code === 'PROTOCOL_CONNECTION_LOST' || code === 'ECONNRESET' || code === 'EPIPE') {
    return SENTENCES.lost;
  }
  return SENTENCES.unreachable;
}

/** True if the login failed in the driver, before the node judged it. */
function isPluginTrouble(error: unknown): boolean {
  const code = codeOf(error) ?? '';
  return ['AUTH_SWITCH_PLUGIN_ERROR', 'MYSQL_CLEAR_PASSWORD_NOT_ENABLED'].includes(code);
}

function answeredWith(number: number): Sentence {
  return {
    'en-us': `The node answered with error ${number}.`,
    'zh-cn': `节点返回错误${number}。`,
  };
}

function noAnswerWithin(timeoutMs: number): Sentence {
  return {
    'en-us': `The node did not answer within ${timeoutMs} ms.`,
    'zh-cn': `节点在${timeoutMs}毫秒内没有响应。`,
  };
}
