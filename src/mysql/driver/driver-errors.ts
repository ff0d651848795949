import { isNativeError } from 'node:util/types';
import { ServiceError, type Sentence } from '../../errors.ts';

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

/** The connection to the node was lost. */
export const LOST: Sentence = {
  'en-us': 'The connection to the node was lost.',
  'zh-cn': '与节点的连接已断开。',
};

/** Returns the error for a connection that was lost. */
export function connectionLost(): ServiceError {
  return new ServiceError('node_unavailable', LOST);
}

/** The error's code: Node's (`ECONNREFUSED`), the driver's (`PROTOCOL_…`) or the server's symbol (`ER_…`). */
export function codeOf(error: unknown): string | undefined {
  return isNativeError(error) && 'code' in error ? String(error.code) : undefined;
}
