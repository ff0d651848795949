import { body } from 'express-validator';
import type { Expectation } from '../domain/termination.ts';
import type { ServiceError } from '../errors.ts';
import { wrongExpected } from './expected.ts';
import { problem, unknownName, type Check } from './validators.ts';

const MAX_ID = 2n ** 63n - 1n;

/** A body of DELETE in which nothing is wrong. */
export interface ProcessesBody {
  readonly processes: readonly bigint[];
  readonly expected?: readonly Expectation[];
}

/** The body of DELETE: `processes`, 1 to `maxIds` different session ids, optionally `expected`, and nothing else. */
export function processesBody(maxIds: number): Check {
  const isSound = (fields: object): boolean => bodyProblem(fields, maxIds) === undefined;
  const chain = body()
    .custom(isSound)
    .withMessage((fields: object) => bodyProblem(fields, maxIds));
  return { chain, concerns: ({ body: fields }) => !isSound(fields as object) };
}

function bodyProblem(fields: object, maxIds: number): ServiceError | undefined {
  const { processes, expected } = fields as Readonly<Record<string, unknown>>;
  if (processes === undefined) {
    return problem('request_null', 'The field processes is missing.', '缺少字段processes。')();
  }
  return (
    unknownName(fields, ['processes', 'expected'], 'field', '字段') ??
    wrongProcesses(processes, maxIds) ??
    (expected === undefined ? undefined : expectedProblem(expected, processes))
  );
}

function wrongProcesses(value: unknown, maxIds: number): ServiceError | undefined {
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

function expectedProblem(value: unknown, ids: unknown): ServiceError | undefined {
  const wrong = wrongExpected(value, ids as readonly bigint[]);
  if (wrong === undefined) return undefined;
  const { where, en, zh } = wrong;
  return problem('parameter_wrong', `${where} ${en}.`, `${where}${zh}。`)();
}
