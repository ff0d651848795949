import type { Request } from 'express';
import { body } from 'express-validator';
import type { Expectation } from '../domain/termination.ts';
import type { ServiceError } from '../errors.ts';
import { scopeOf } from './extensions.ts';
import { problem, unknownName, type Check } from './route-steps.ts';

const MAX_ID = 2n ** 63n - 1n;
const MAX_TEXT = 512;

/** A valid body of DELETE. */
export interface ProcessesBody {
  readonly processes: readonly bigint[];
  readonly expected?: readonly Expectation[];
}

/**
 * Returns a check of the body of DELETE: `processes` with 1 to `maxIds` different session ids, optionally `expected`, and no other field.
 * An entry of `expected` may have `info` only if the request ends statements.
 */
export function processesBody(maxIds: number): Check {
  const problemOf = (fields: object, req: unknown): ServiceError | undefined =>
    bodyProblem(fields, maxIds, scopeOf(req as Request) === 'statement');
  const chain = body()
    .custom((fields: object, { req }) => problemOf(fields, req) === undefined)
    .withMessage((fields: object, { req }) => problemOf(fields, req));
  return { chain, concerns: (req) => problemOf(req.body as object, req) !== undefined };
}

function bodyProblem(
  fields: object,
  maxIds: number,
  mayHaveInfo: boolean,
): ServiceError | undefined {
  const { processes, expected } = fields as Readonly<Record<string, unknown>>;
  if (processes === undefined) {
    return problem('request_null', 'The field processes is missing.', '缺少字段processes。')();
  }
  return (
    unknownName(fields, ['processes', 'expected'], 'field', '字段') ??
    processesProblem(processes, maxIds) ??
    (expected === undefined ? undefined : expectedProblem(expected, processes, mayHaveInfo))
  );
}

function processesProblem(value: unknown, maxIds: number): ServiceError | undefined {
  if (!Array.isArray(value)) {
    return problem('parameter_wrong', 'processes must be an array.', 'processes必须为数组。')();
  }
  const index = value.findIndex((id) => typeof id !== 'bigint' || id < 0n || id > MAX_ID);
  if (index >= 0) {
    const [name, most] = [`processes[${index}]`, MAX_ID.toString()];
    return problem(
      'parameter_wrong',
      `${name} must be an integer from 0 to ${most}.`,
      `${name}必须为0到${most}的整数。`,
    )();
  }
  if (value.length > 0 && new Set(value).size <= maxIds) return undefined;
  return problem(
    'parameter_wrong',
    `processes must hold 1 to ${maxIds} ids.`,
    `processes必须包含1到${maxIds}个ID。`,
  )();
}

function expectedProblem(
  value: unknown,
  ids: unknown,
  mayHaveInfo: boolean,
): ServiceError | undefined {
  if (!Array.isArray(value)) {
    return problem('parameter_wrong', 'expected must be an array.', 'expected必须为数组。')();
  }
  const named = new Set(ids as readonly bigint[]);
  const seen = new Set<unknown>();
  for (const [index, entry] of (value as unknown[]).entries()) {
    const rule = brokenRule(entry, named, seen, mayHaveInfo);
    if (rule === undefined) continue;
    const name = `expected[${index}]`;
    return problem('parameter_wrong', `${name} ${rule.en}.`, `${name}${rule.zh}。`)();
  }
  return undefined;
}

/** Returns the first rule that an entry of `expected` breaks, or undefined. */
function brokenRule(
  entry: unknown,
  named: ReadonlySet<unknown>,
  seen: Set<unknown>,
  mayHaveInfo: boolean,
): { readonly en: string; readonly zh: string } | undefined {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    return { en: 'must be an object', zh: '必须为对象' };
  }
  const { id, host, user, info, ...others } = entry as Record<string, unknown>;
  const [other] = Object.keys(info === undefined || mayHaveInfo ? others : { info, ...others });
  if (other !== undefined) {
    const name = JSON.stringify(other.slice(0, 64));
    return { en: `has the unknown field ${name}`, zh: `包含未知的字段${name}` };
  }
  if (typeof id !== 'bigint' || !named.has(id)) {
    return { en: 'must have an id that is in processes', zh: '的id必须在processes中' };
  }
  if (seen.has(id)) return { en: 'repeats the id of an earlier entry', zh: '的id与前面的条目重复' };
  seen.add(id);
  if (host === undefined && user === undefined && info === undefined) {
    return mayHaveInfo
      ? { en: 'must have a host, a user or an info', zh: '必须包含host、user或info' }
      : { en: 'must have a host or a user', zh: '必须包含host或user' };
  }
  const isText = (text: unknown): boolean =>
    text === undefined || (typeof text === 'string' && text.length > 0 && text.length <= MAX_TEXT);
  if (!isText(host) || !isText(user) || !isText(info)) {
    const rule = `1 to ${MAX_TEXT}`;
    const [names, namesZh] = mayHaveInfo
      ? ['host, user and info', 'host、user和info']
      : ['host and user', 'host和user'];
    return {
      en: `must have texts of ${rule} characters as ${names}`,
      zh: `的${namesZh}必须为${rule.replace(' to ', '到')}个字符的文本`,
    };
  }
  return undefined;
}
