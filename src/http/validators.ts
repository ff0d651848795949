import { parse as parseQueryString } from 'node:querystring';
import type { Request, RequestHandler } from 'express';
import { body, header, param, query, type ValidationChain } from 'express-validator';
import { ServiceError, type ErrorCode } from '../errors.ts';
import { wrongExpected } from './expected.ts';

/** The validated ids of the path. */
export interface PathIds {
  readonly project_id: string;
  readonly instance_id: string;
  readonly node_id: string;
}

const MAX_ID = 2n ** 63n - 1n;

/** Checks in this order; the first thing that is wrong decides. Only what was checked is in `matchedData` afterwards. */
export function validate(...chains: readonly ValidationChain[]): RequestHandler {
  return async (req, _res, next) => {
    await check(req, ...chains);
    next();
  };
}

/** Throws the error of the first chain that fails. */
export async function check(req: Request, ...chains: readonly ValidationChain[]): Promise<void> {
  for (const chain of chains) {
    const [first] = (await chain.run(req)).array();
    if (first !== undefined) throw first.msg as ServiceError;
  }
}

/** `project_id` of the path. */
export const projectId = pathId(
  'project_id',
  /^[A-Za-z0-9]{32}$/,
  'parameter_wrong',
  'project_id must be exactly 32 letters and digits.',
  'project_id必须为32位字母和数字。',
);

/** `instance_id` and `node_id` of the path. */
export const instanceAndNodeId = [
  pathId(
    'instance_id',
    /^[A-Za-z0-9]{32}in07$/,
    'id_malformed',
    'instance_id must be exactly 36 letters and digits and end in in07.',
    'instance_id必须为36位字母和数字，并以in07结尾。',
  ),
  pathId(
    'node_id',
    /^[A-Za-z0-9]{32}no07$/,
    'id_malformed',
    'node_id must be exactly 36 letters and digits and end in no07.',
    'node_id必须为36位字母和数字，并以no07结尾。',
  ),
] as const;

/**
 * The body of DELETE: `processes`, 1 to `maxIds` different session ids, optionally `expected`, and nothing else.
 * In `matchedData` as bigint[] and as the entries.
 */
export function processesBody(maxIds: number): ValidationChain[] {
  return [
    body('processes')
      .custom((value) => value !== undefined)
      .withMessage(
        problem('request_null', 'The field processes is missing.', '缺少字段processes。'),
      ),
    noOther(body(), ['processes', 'expected'], 'field', '字段'),
    body('processes')
      .custom((value) => wrongProcesses(value, maxIds) === undefined)
      .withMessage((value: unknown) => wrongProcesses(value, maxIds)),
    body('expected')
      .custom((value, { req }) => expectedProblem(value, req) === undefined)
      .withMessage((value: unknown, { req }: { req: object }) => expectedProblem(value, req)),
  ];
}

/** `dry_run` (`true` or `false`) and the header Idempotency-Key of DELETE, both optional, and no other query parameter. */
export const extensions: readonly ValidationChain[] = [
  noOther(query(), ['dry_run'], 'query parameter', '查询参数'),
  query('dry_run')
    .optional()
    .custom((value) => value === 'true' || value === 'false')
    .withMessage(
      problem(
        'parameter_wrong',
        'dry_run must be true or false, given once.',
        'dry_run必须为true或false，且只能出现一次。',
      ),
    ),
  header('idempotency-key')
    .optional()
    .custom((value) => typeof value === 'string' && /^[\x21-\x7e]{1,64}$/.test(value))
    .withMessage(
      problem(
        'parameter_wrong',
        'The header Idempotency-Key must be 1 to 64 visible ASCII characters.',
        '请求头Idempotency-Key必须为1到64个可见ASCII字符。',
      ),
    ),
];

/** No query parameter at all. */
export const noQuery = noOther(query(), [], 'query parameter', '查询参数');

/** The header X-Kill-Reason of DELETE, in `matchedData` as text. */
export function killReason(isRequired: boolean): ValidationChain {
  const chain = header('x-kill-reason').customSanitizer(asUtf8);
  return (isRequired ? chain : chain.optional())
    .custom(
      (value) =>
        typeof value === 'string' && /^(?=\S)[^\p{C}\p{Zl}\p{Zp}\ufffd]{1,256}$/u.test(value),
    )
    .withMessage(
      problem(
        'parameter_wrong',
        `The header X-Kill-Reason must be 1 to 256 visible characters${isRequired ? ', and is required here' : ''}.`,
        `请求头X-Kill-Reason必须为1到256个可见字符${isRequired ? '，且为必填项' : ''}。`,
      ),
    );
}

/** `offset` (bigint) and `limit` (number) of GET, both optional, and no other parameter. */
export const page: readonly ValidationChain[] = [
  query('limit')
    .optional()
    .custom((value) => typeof value === 'string' && /^([1-9]\d?|100)$/.test(value))
    .withMessage(
      problem(
        'limit_wrong',
        'limit must be an integer from 1 to 100, given once.',
        'limit必须为1到100的整数，且只能出现一次。',
      ),
    )
    .bail()
    .customSanitizer(Number),
  query('offset')
    .optional()
    .custom((value) => typeof value === 'string' && /^(0|[1-9]\d*)$/.test(value))
    .withMessage(
      problem(
        'parameter_wrong',
        'offset must be an integer of 0 or more, given once.',
        'offset必须为大于等于0的整数，且只能出现一次。',
      ),
    )
    .bail()
    .customSanitizer(BigInt),
  noOther(query(), ['limit', 'offset'], 'query parameter', '查询参数'),
];

/** For Express: unlike its own, this one reads every parameter, so that none past the thousandth is overlooked. */
export function parseQuery(text: string): object {
  return parseQueryString(text, '&', '=', { maxKeys: 0 });
}

// Node gives each byte of a header as a character of its own.
function asUtf8(value: unknown): unknown {
  return typeof value === 'string' ? Buffer.from(value, 'latin1').toString('utf8') : value;
}

function pathId(name: string, form: RegExp, code: ErrorCode, en: string, zh: string) {
  return param(name)
    .matches(form)
    .withMessage(problem(code, en, zh));
}

function noOther(chain: ValidationChain, known: readonly string[], kind: string, kindZh: string) {
  const unknown = (value: object): string | undefined =>
    Object.keys(value).find((name) => !known.includes(name));
  return chain
    .custom((value: object) => unknown(value) === undefined)
    .withMessage((value: object) => {
      const name = JSON.stringify(unknown(value)?.slice(0, 64));
      return problem(
        'parameter_wrong',
        `The ${kind} ${name} is not known.`,
        `未知的${kindZh}${name}。`,
      )();
    });
}

function wrongProcesses(value: unknown, maxIds: number): ServiceError | undefined {
  if (!Array.isArray(value)) {
    return problem('parameter_wrong', 'processes must be an array.', 'processes必须为数组。')();
  }
  const index = value.findIndex((id) => typeof id !== 'bigint' || id < 1n || id > MAX_ID);
  if (index >= 0) {
    const [name, most] = [`processes[${index}]`, MAX_ID.toString()];
    return problem(
      'parameter_wrong',
      `${name} must be an integer from 1 to ${most}.`,
      `${name}必须为1到${most}的整数。`,
    )();
  }
  if (value.length > 0 && new Set(value).size <= maxIds) return undefined;
  return problem(
    'parameter_wrong',
    `processes must hold 1 to ${maxIds} ids.`,
    `processes必须包含1到${maxIds}个ID。`,
  )();
}

function expectedProblem(value: unknown, req: object): ServiceError | undefined {
  if (value === undefined) return undefined;
  const { processes } = (req as { body: { processes: readonly unknown[] } }).body;
  const wrong = wrongExpected(value, processes);
  if (wrong === undefined) return undefined;
  const { where, en, zh } = wrong;
  return problem('parameter_wrong', `${where} ${en}.`, `${where}${zh}。`)();
}

function problem(code: ErrorCode, en: string, zh: string): () => ServiceError {
  return () => new ServiceError(code, { 'en-us': en, 'zh-cn': zh });
}
