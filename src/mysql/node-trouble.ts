import { ServiceError, type Sentence } from '../errors.ts';
import { CertificateError, codeOf, DeadlineError } from './driver/driver-connection.ts';
import { KeylessError, LOST, NotSentError, withoutTls } from './driver/driver-connection.ts';
import { MEANINGS, meaningOf, serverErrorNumber } from './server-errors.ts';

/** Returns the error for the caller, with the original error as its cause. `connectTimeoutMs` is the timeout for connecting. */
export function nodeTrouble(error: unknown, connectTimeoutMs: number): ServiceError {
  if (error instanceof ServiceError) return error;
  if (error instanceof NotSentError) return error.trouble;
  return new ServiceError('node_unavailable', sentenceFor(error, connectTimeoutMs), {
    cause: error,
  });
}

/** Returns true if the spare port may help. It cannot if the node refused the account, or could not prove its identity. */
export function isEndpointUnavailable(found: unknown): boolean {
  const error = mainPortError(found);
  if (error instanceof ServiceError || error === undefined) return false;
  if (serverErrorNumber(error) !== undefined) {
    return ['full', 'offline', 'blocked', 'lost'].includes(meaningOf(error) ?? '');
  }
  return (
    !(error instanceof CertificateError) &&
    codeOf(error) !== 'HANDSHAKE_NO_SSL_SUPPORT' &&
    !isClientCertificateRefused(error) &&
    !isPluginTrouble(error)
  );
}

/** Returns true if the node has no connection left for the control account, or is in offline mode. */
export function isFull(error: unknown): boolean {
  return ['full', 'offline'].includes(meaningOf(mainPortError(error)) ?? '');
}

/** Returns the error of the main port, also from an error that reports the spare port's. */
function mainPortError(error: unknown): unknown {
  return error instanceof ServiceError ? error.cause : error;
}

/** Returns true if the node refused the login of the control account. */
export function isAccountRefused(trouble: Sentence): boolean {
  const { offered, disabled } = WITHOUT_TLS;
  return [MEANINGS.refused, offered.refused, disabled.refused].includes(trouble);
}

const SENTENCES = {
  unreachable: { 'en-us': 'The node cannot be reached.', 'zh-cn': '无法连接节点。' },
  plaintext: {
    'en-us':
      'The node offers no TLS. Without TLS the service sends the password of the control account over the loopback interface only, and only if the configuration does not ask for TLS. Give the node TLS.',
    'zh-cn':
      '节点不支持TLS。没有TLS时，控制账号的密码仅在本机回环接口上且配置未要求TLS时才会发送。请为节点启用TLS。',
  },
  plugin: {
    'en-us':
      'The service does not support the authentication plugin of the control account. Give it mysql_native_password, caching_sha2_password or sha256_password.',
    'zh-cn':
      '不支持控制账号的认证插件：请改用mysql_native_password、caching_sha2_password或sha256_password。',
  },
  certificate: {
    'en-us': "The node's TLS certificate cannot be verified.",
    'zh-cn': '无法验证节点的TLS证书。',
  },
  clientCertificate: {
    'en-us':
      'The node refuses the client certificate of the service. Give the service a certificate that has not expired and that an authority of the node (ssl_ca) signed.',
    'zh-cn': '节点拒绝服务的客户端证书。请为服务配置未过期且由节点的CA（ssl_ca）签发的证书。',
  },
} satisfies Record<string, Sentence>;

/** The sentences for a login without TLS, by the node's setting of `tls`. */
const WITHOUT_TLS = {
  offered: {
    refused: {
      'en-us':
        'The node refuses the control account, and offers no TLS. If the account has REQUIRE SSL, give the node TLS.',
      'zh-cn':
        '节点拒绝控制账号登录，且不支持TLS。如果该账号要求TLS（REQUIRE SSL），请为节点启用TLS。',
    },
    keyless: {
      'en-us':
        'The node offers no TLS and asks for the password of the control account, but the service sends no password without TLS. Give the node TLS.',
      'zh-cn':
        '节点不支持TLS，却要求提供控制账号的密码，而没有TLS时不会发送密码：请为节点启用TLS。',
    },
  },
  disabled: {
    refused: {
      'en-us':
        'The node refuses the control account on a connection without TLS. If the account has REQUIRE SSL, remove tls: disabled from the configuration.',
      'zh-cn':
        '节点拒绝控制账号登录，该连接未使用TLS。如果该账号要求TLS（REQUIRE SSL），请从配置中删除tls: disabled。',
    },
    keyless: {
      'en-us':
        'The node asks for the password of the control account, but the service sends no password without TLS. Remove tls: disabled from the configuration.',
      'zh-cn': '节点要求提供控制账号的密码，而没有TLS时不会发送密码：请从配置中删除tls: disabled。',
    },
  },
} satisfies Record<string, Record<string, Sentence>>;

function sentenceFor(error: unknown, connectTimeoutMs: number): Sentence {
  if (error instanceof DeadlineError) return noAnswerWithin(error.timeoutMs);
  const number = serverErrorNumber(error);
  const meaning = meaningOf(error);
  const plain = WITHOUT_TLS[withoutTls(error) ?? 'disabled'];
  if (meaning === 'refused' && withoutTls(error) !== undefined) return plain.refused;
  if (meaning !== undefined) return MEANINGS[meaning];
  if (number !== undefined) return answeredWith(number);
  const code = codeOf(error) ?? '';
  if (code === 'ETIMEDOUT') return noAnswerWithin(connectTimeoutMs);
  if (code === 'HANDSHAKE_NO_SSL_SUPPORT') return SENTENCES.plaintext;
  if (error instanceof CertificateError) return SENTENCES.certificate;
  if (error instanceof KeylessError) return plain.keyless;
  if (isClientCertificateRefused(error)) return SENTENCES.clientCertificate;
  if (isPluginTrouble(error)) return SENTENCES.plugin;
  if (code === 'PROTOCOL_CONNECTION_LOST' || code === 'ECONNRESET' || code === 'EPIPE') {
    return LOST;
  }
  return SENTENCES.unreachable;
}

/** Returns true if the login failed in the driver, before the node checked the account. */
function isPluginTrouble(error: unknown): boolean {
  const code = codeOf(error) ?? '';
  return ['AUTH_SWITCH_PLUGIN_ERROR', 'MYSQL_CLEAR_PASSWORD_NOT_ENABLED'].includes(code);
}

/** Returns true if the node ended the TLS handshake because of the client certificate. OpenSSL names the alert in its code. */
function isClientCertificateRefused(error: unknown): boolean {
  return /^ERR_SSL_\w+_ALERT_(UNKNOWN_CA|\w*CERTIFICATE\w*)$/.test(codeOf(error) ?? '');
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
