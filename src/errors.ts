/** The languages of the API, as `X-Language` names them. */
export type Language = 'en-us' | 'zh-cn';

/** A sentence for the caller, in each language of the API. */
export type Sentence = Readonly<Record<Language, string>>;

/** The reason of an error. The table in `http/error-table.ts` has the status and the message of each. */
export type ErrorCode =
  | 'parameter_wrong'
  | 'request_null'
  | 'id_malformed'
  | 'limit_wrong'
  | 'media_type_unsupported'
  | 'unauthenticated'
  | 'action_denied'
  | 'project_denied'
  | 'instance_not_found'
  | 'node_not_found'
  | 'session_not_found'
  | 'history_not_found'
  | 'api_not_found'
  | 'method_not_allowed'
  | 'body_too_large'
  | 'uri_too_large'
  | 'headers_too_large'
  | 'sent_too_slowly'
  | 'malformed_http'
  | 'node_unavailable'
  | 'stopping'
  | 'overloaded'
  | 'store_unavailable'
  | 'audit_unavailable'
  | 'too_many_requests'
  | 'iam_unavailable'
  | 'service_token_refused'
  | 'internal';

/** An error that the service reports to a caller. `detail` is for the caller, `cause` for the log. */
export class ServiceError extends Error {
  readonly code: ErrorCode;
  readonly detail: Sentence | undefined;

  constructor(code: ErrorCode, detail?: Sentence, options?: { readonly cause: unknown }) {
    super(detail?.['en-us'] ?? code, options);
    this.name = 'ServiceError';
    this.code = code;
    this.detail = detail;
  }
}

/** Returns a ServiceError unchanged, and wraps any other value in one with this code. */
export function asServiceError(thrown: unknown, code: ErrorCode = 'internal'): ServiceError {
  return thrown instanceof ServiceError
    ? thrown
    : new ServiceError(code, undefined, { cause: thrown });
}
