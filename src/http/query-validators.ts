import { parse as parseQueryString } from 'node:querystring';
import { query, type ValidationChain } from 'express-validator';
import type { ServiceError } from '../errors.ts';
import { problem, unknownName, type Check, type ProjectPathIds } from './route-steps.ts';

/** Checks that there is no query parameter. */
export const noQuery = ofQuery(noOther([]));

const pageNumbers: readonly Check<ProjectPathIds>[] = [
  ofQuery(
    query(
      'limit',
      problem(
        'limit_wrong',
        'limit must be an integer from 1 to 100, given once.',
        'limit必须为1到100的整数，且只能出现一次。',
      ),
    )
      .optional()
      .isString()
      .matches(/^([1-9]\d?|100)$/)
      .bail()
      .customSanitizer(Number),
  ),
  ofQuery(
    query(
      'offset',
      problem(
        'parameter_wrong',
        'offset must be an integer of 0 or more, given once.',
        'offset必须为大于等于0的整数，且只能出现一次。',
      ),
    )
      .optional()
      .isString()
      .matches(/^(0|[1-9]\d*)$/)
      .bail()
      .customSanitizer(BigInt),
  ),
];

/** Checks of GET: an optional `offset` (bigint), an optional `limit` (number), and no other query parameter. */
export const page: readonly Check<ProjectPathIds>[] = [
  ...pageNumbers,
  ofQuery(noOther(['limit', 'offset'])),
];

/** Checks like those of `page`, and an optional `with`. */
export const pageWithTransactions: readonly Check[] = [
  ...pageNumbers,
  optionalChoice(
    'with',
    ['transaction'],
    'with must be transaction, given once.',
    'with必须为transaction，且只能出现一次。',
  ),
  ofQuery(noOther(['limit', 'offset', 'with'])),
];

/** Checks of GET …/process/lock-wait: `pid` (bigint), and no other query parameter. */
export const waitingPid: readonly Check[] = [
  {
    chain: query(
      'pid',
      problem(
        'parameter_wrong',
        'pid must be an integer from 1 to 9223372036854775807, given once.',
        'pid必须为1到9223372036854775807的整数，且只能出现一次。',
      ),
    )
      .isString()
      .matches(/^[1-9]\d{0,18}$/)
      .bail()
      .customSanitizer(BigInt)
      .custom((pid: bigint) => pid < 2n ** 63n),
    concerns: () => true,
  },
  ofQuery(noOther(['pid'])),
];

/** Parses a query string for Express. Unlike Express's own parser it also reads parameters past the thousandth. */
export function parseQuery(text: string): object {
  return parseQueryString(text, '&', '=', { maxKeys: 0 });
}

/** Returns a check of an optional query parameter that has one of a few values. */
export function optionalChoice(
  name: string,
  values: readonly string[],
  english: string,
  chinese: string,
): Check<ProjectPathIds> {
  const chain = query(name, problem('parameter_wrong', english, chinese));
  return ofQuery(chain.optional().isString().isIn(values));
}

/** Returns a check that runs only if there is a query. */
export function ofQuery(chain: ValidationChain): Check<ProjectPathIds> {
  return { chain, concerns: ({ url }) => url.includes('?') };
}

/** Returns a check that the query has no parameter besides these. */
export function noOther(known: readonly string[]): ValidationChain {
  const problemOf = (value: object): ServiceError | undefined =>
    unknownName(value, known, 'query parameter', '查询参数');
  return query()
    .custom((value: object) => problemOf(value) === undefined)
    .withMessage((value: object) => problemOf(value));
}
