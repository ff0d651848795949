import { body } from 'express-validator';
import type { ServiceError } from '../errors.ts';
import { wrongExpected } from './expected.ts';
import { problem, unknownName, type Check } from './validators.ts';

const MAX_ID = 2n ** 63n - 1n;

/**
 * The body of DELETE: `processes`, 1 to `maxIds` different session ids, optionally `expected`, and nothing else.
 * In `matchedData` as bigint[] and as the entries.
 */
export function processesBody(maxIds: number): Check {
  const bodyProblem = (value: unknown, path: string, req: object): ServiceError | undefined =>
    path === 'processes' ? processesProblem(value, req, maxIds) : expectedProblem(value, req);
  const chain = body(['processes', 'expected'])
    .custom((value, { path, req }) => bodyProblem(value, path, req) === undefined)
    .withMessage((value: unknown, { path, req }) => bodyProblem(value, path, req));
  return { chain, concerns: () => true };
}

function processesProblem(value: unknown, req: object, maxIds: number): ServiceError | undefined {
  if (value === undefined) {
    return problem('request_null', 'The field processes is missing.', '缺少字段processes。')();
  }
  const { body: fields } = req as { body: object };
  return (
    unknownName(fields, ['processes', 'expected'], 'field', '字段') ?? wrongProcesses(value, maxIds)
  );
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
  const { processes } = (req as { body: { processes: unknown } }).body;
  // Without an array of ids that is what is wrong.
  if (value === undefined || !Array.isArray(processes)) return undefined;
  const wrong = wrongExpected(value, processes);
  if (wrong === undefined) return undefined;
  const { where, en, zh } = wrong;
  return problem('parameter_wrong', `${where} ${en}.`, `${where}${zh}。`)();
}
