import type { ErrorCode, Language, Sentence } from '../errors.ts';

interface Row extends Sentence {
  readonly status: number;
  /** With a code of the gateway (`APIGW.…`), the body also holds the request id. */
  readonly error_code: string;
  /** The number of seconds after which a retry makes sense. */
  readonly retryAfter?: number;
}

const row = (status: number, error_code: string, en: string, zh: string): Row => ({
  status,
  error_code,
  'en-us': en,
  'zh-cn': zh,
});

const parameterError = (status: number) =>
  row(status, 'DBS.200001', 'Parameter error.', '参数错误。');
const noSuchApi = (status: number) =>
  row(status, 'APIGW.0101', 'The API does not exist.', 'API不存在。');
const badRequest = (status: number) =>
  row(status, 'APIGW.0201', 'API request error.', 'API请求错误。');
const serverFailure = row(500, 'DBS.200005', 'Server failure.', '服务器错误。');

const unavailable = {
  ...row(503, 'APIGW.0201', 'Backend unavailable.', '后端服务不可用。'),
  retryAfter: 5,
};
const iamUnavailable = {
  ...row(503, 'APIGW.0613', 'The IAM service is currently unavailable.', 'IAM服务当前不可用。'),
  retryAfter: 5,
};

/** The status, code and sentence of each error on the wire. */
export const ERROR_TABLE: Readonly<Record<ErrorCode, Row>> = {
  parameter_wrong: parameterError(400),
  request_null: row(
    400,
    'DBS.200006',
    'The request is null. Enter a request parameter.',
    '请求为空，请输入请求参数。',
  ),
  id_malformed: row(
    400,
    'DBS.280404',
    'Invalid DB instance ID or node ID format.',
    '实例ID或节点ID格式错误。',
  ),
  limit_wrong: row(
    400,
    'DBS.280439',
    'Invalid records. Enter a positive integer no more than 100.',
    '记录数无效，请输入不大于100的正整数。',
  ),
  media_type_unsupported: parameterError(415),
  unauthenticated: row(
    401,
    'APIGW.0301',
    'Incorrect IAM authentication information: ',
    'IAM认证信息错误：',
  ),
  action_denied: row(
    403,
    'DBS.200010',
    'The DB instance ID or user ID may be null, or the operation is not authorized.',
    '实例ID和用户ID可能为空，或者操作越权。',
  ),
  project_denied: row(
    403,
    'DBS.200044',
    'Resource not found or permission denied.',
    '访问资源不存在，或者无访问权限。',
  ),
  instance_not_found: row(404, 'DBS.200002', 'The DB instance does not exist.', '实例不存在。'),
  node_not_found: row(404, 'DBS.290013', 'Resource not found.', '资源不存在。'),
  session_not_found: row(
    404,
    'DBS.290013',
    'Resource not found. The node has no user session with this id. List its sessions again.',
    '资源不存在。节点上没有该ID的用户会话。请重新查询会话列表。',
  ),
  history_not_found: row(404, 'DBS.290013', 'Resource not found.', '资源不存在。'),
  api_not_found: noSuchApi(404),
  method_not_allowed: noSuchApi(405),
  body_too_large: row(413, 'APIGW.0201', 'Request entity too large.', '请求体过大。'),
  uri_too_large: row(414, 'APIGW.0201', 'Request URI too large.', '请求URI过大。'),
  sent_too_slowly: badRequest(408),
  headers_too_large: badRequest(431),
  malformed_http: badRequest(400),
  node_unavailable: serverFailure,
  internal: serverFailure,
  stopping: unavailable,
  overloaded: unavailable,
  store_unavailable: unavailable,
  audit_unavailable: { ...serverFailure, status: 503, retryAfter: 5 },
  too_many_requests: {
    ...row(429, 'APIGW.0308', 'The throttling threshold has been reached.', '已达到流控阈值。'),
    retryAfter: 60,
  },
  iam_unavailable: iamUnavailable,
  service_token_refused: iamUnavailable,
};

/** Returns the table's sentence for an error, followed by the detail if there is one. */
export function errorMessage(
  code: ErrorCode,
  language: Language,
  detail: Sentence | undefined,
): string {
  const sentence = ERROR_TABLE[code][language];
  if (detail === undefined) return sentence;
  return /[。：\s]$/.test(sentence)
    ? sentence + detail[language]
    : `${sentence} ${detail[language]}`;
}
