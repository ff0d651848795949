import { header, param, type ValidationChain } from 'express-validator';
import type { NodeKey } from '../domain/node.ts';
import type { ServiceError } from '../errors.ts';
import { noOther, ofQuery, optionalChoice } from './query-validators.ts';
import { problem, type Check, type PathIds } from './route-steps.ts';

/** Returns the key of the node that a path names. */
export function nodeKey({ project_id, instance_id, node_id }: PathIds): NodeKey {
  return { projectId: project_id, instanceId: instance_id, nodeId: node_id };
}

/** Checks the project id. */
export const projectId = pathId(
  'project_id',
  /^[A-Za-z0-9]{32}$/,
  problem(
    'parameter_wrong',
    'project_id must be exactly 32 letters and digits.',
    'project_id必须为32位字母和数字。',
  ),
);

/** Checks the instance id. */
export const instanceId = pathId(
  'instance_id',
  /^[A-Za-z0-9]{32}in07$/,
  problem(
    'id_malformed',
    'instance_id must be exactly 36 letters and digits and end in in07.',
    'instance_id必须为36位字母和数字，并以in07结尾。',
  ),
);

/** Checks the instance id, then the node id. */
export const nodeIds: readonly Check[] = [
  instanceId,
  pathId(
    'node_id',
    /^[A-Za-z0-9]{32}no07$/,
    problem(
      'id_malformed',
      'node_id must be exactly 36 letters and digits and end in no07.',
      'node_id必须为36位字母和数字，并以no07结尾。',
    ),
  ),
];

/** Checks the id of a session in the path, and makes it a bigint. */
export const sessionId: Check = {
  chain: param(
    'process_id',
    problem(
      'parameter_wrong',
      'process_id must be a decimal integer from 1 to 18446744073709551615.',
      'process_id必须为1到18446744073709551615的十进制整数。',
    ),
  )
    .matches(/^[1-9]\d{0,19}$/)
    .bail()
    .customSanitizer(BigInt)
    .custom((id: bigint) => id < 2n ** 64n),
  concerns: () => true,
};

/** Checks of DELETE: `dry_run`, `scope` and the header Idempotency-Key, all optional, and no other query parameter. */
export const extensions: readonly Check[] = [
  ofQuery(noOther(['dry_run', 'scope'])),
  optionalChoice(
    'dry_run',
    ['true', 'false'],
    'dry_run must be true or false, given once.',
    'dry_run必须为true或false，且只能出现一次。',
  ),
  optionalChoice(
    'scope',
    ['session', 'statement'],
    'scope must be session or statement, given once.',
    'scope必须为session或statement，且只能出现一次。',
  ),
  ofHeader(
    'idempotency-key',
    header(
      'idempotency-key',
      problem(
        'parameter_wrong',
        'The header Idempotency-Key must be 1 to 64 visible ASCII characters.',
        '请求头Idempotency-Key必须为1到64个可见ASCII字符。',
      ),
    )
      .optional()
      .matches(/^[\x21-\x7e]{1,64}$/),
  ),
];

/** Returns a check of the header X-Kill-Reason of DELETE, which also decodes the header in `req.headers` from UTF-8. */
export function killReason(isRequired: boolean): Check {
  const text = header(
    'x-kill-reason',
    problem(
      'parameter_wrong',
      `The header X-Kill-Reason must be 1 to 256 visible characters${isRequired ? ', and is required here' : ''}.`,
      `请求头X-Kill-Reason必须为1到256个可见字符${isRequired ? '，且为必填项' : ''}。`,
    ),
  ).customSanitizer(asUtf8);
  const chain = (isRequired ? text.exists().bail() : text.optional()).matches(
    /^(?=\S)[^\p{C}\p{Zl}\p{Zp}\ufffd]{1,256}$/u,
  );
  return isRequired ? { chain, concerns: () => true } : ofHeader('x-kill-reason', chain);
}

function pathId<Name extends keyof PathIds>(
  name: Name,
  form: RegExp,
  malformed: () => ServiceError,
): Check<Pick<PathIds, Name>> {
  return {
    chain: param(name, malformed).matches(form),
    concerns: ({ params }) => !form.test(params[name]),
  };
}

// Node.js decodes headers as Latin-1: one character for each byte.
function asUtf8(value: unknown): unknown {
  return typeof value === 'string' ? Buffer.from(value, 'latin1').toString('utf8') : value;
}

function ofHeader(name: string, chain: ValidationChain): Check {
  return { chain, concerns: ({ headers }) => headers[name] !== undefined };
}
