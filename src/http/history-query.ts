import { query } from 'express-validator';
import type { ServiceError } from '../errors.ts';
import { problem, type Check, type ProjectPathIds } from './route-steps.ts';
import { noOther, ofQuery } from './query-validators.ts';

/** The valid query of a request for the history. */
export interface HistoryQuery {
  readonly start_time?: number;
  readonly end_time?: number;
  readonly page_num?: bigint;
  readonly page_size?: number;
  readonly node_id?: string;
  readonly user?: string;
  readonly caller?: string;
}

/** The length of the period if the query has no start, in milliseconds. */
export const DEFAULT_PERIOD_MS = 24 * 60 * 60 * 1000;

const NAMES = ['start_time', 'end_time', 'page_num', 'page_size', 'node_id', 'user', 'caller'];

/** Checks of GET …/process/kill/history, and no other query parameter. Times and `page_size` become numbers, `page_num` a bigint. */
export const historyQuery: readonly Check<ProjectPathIds>[] = [
  ofQuery(noOther(NAMES)),
  time('start_time'),
  time('end_time'),
  matching(
    'page_num',
    /^\d{1,100}$/,
    problem(
      'parameter_wrong',
      'page_num must be an integer of 0 or more, given once. 0 and 1 are the first page.',
      'page_num必须为大于等于0的整数，且只能出现一次。0和1均表示第一页。',
    ),
    BigInt,
  ),
  matching(
    'page_size',
    /^([1-9]\d?|100)$/,
    problem(
      'limit_wrong',
      'page_size must be an integer from 1 to 100, given once.',
      'page_size必须为1到100的整数，且只能出现一次。',
    ),
    Number,
  ),
  matching(
    'node_id',
    /^[A-Za-z0-9]{32}no07$/,
    problem(
      'id_malformed',
      'node_id must be exactly 36 letters and digits and end in no07, given once.',
      'node_id必须为36位字母和数字，并以no07结尾，且只能出现一次。',
    ),
  ),
  name('user'),
  name('caller'),
  ofQuery(
    query()
      .custom(isPeriod)
      .withMessage(
        problem(
          'parameter_wrong',
          'start_time must be earlier than end_time, which is now if it is not given.',
          'start_time必须早于end_time；未指定end_time时以当前时间为准。',
        ),
      ),
  ),
];

function isPeriod({ start_time, end_time }: Readonly<Record<string, unknown>>): boolean {
  if (start_time === undefined) return true;
  return Number(start_time) < (end_time === undefined ? Date.now() : Number(end_time));
}

// The largest time of a Date has 16 digits.
function time(parameter: string): Check<ProjectPathIds> {
  return matching(
    parameter,
    /^\d{1,16}$/,
    problem(
      'parameter_wrong',
      `${parameter} must be a time in milliseconds since 1970, given once.`,
      `${parameter}必须为自1970年起的毫秒数，且只能出现一次。`,
    ),
    Number,
  );
}

function name(parameter: string): Check<ProjectPathIds> {
  return matching(
    parameter,
    /^[^\p{Cc}]{1,256}$/u,
    problem(
      'parameter_wrong',
      `${parameter} must be 1 to 256 visible characters, given once.`,
      `${parameter}必须为1到256个可见字符，且只能出现一次。`,
    ),
  );
}

function matching(
  parameter: string,
  form: RegExp,
  wrong: () => ServiceError,
  convert: (value: string) => unknown = (value) => value,
): Check<ProjectPathIds> {
  return ofQuery(
    query(parameter, wrong).optional().isString().matches(form).bail().customSanitizer(convert),
  );
}
