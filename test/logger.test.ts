import { describe, expect, it } from '@jest/globals';
import { asServiceError, ServiceError } from '../src/errors.ts';
import { createLogger, type LogSettings } from '../src/logging/logger.ts';

function logged(settings: LogSettings, message: string, fields: object): string {
  let text = '';
  const log = createLogger(settings, { add: (line) => (text += line) });
  log.info(message, fields);
  return text;
}

describe('the log', () => {
  it('in JSON has the fields in order, exact ids, and errors with message, code and cause', () => {
    const cause = Object.assign(new Error('inner'), { code: 'ECONNREFUSED' });
    const error = new Error('outer', { cause });
    const line = logged({ level: 'info', format: 'json' }, 'kill', { id: 2n ** 63n, error });
    expect(Object.keys(JSON.parse(line) as object).slice(0, 3)).toEqual(['id', 'error', 'level']);
    expect(JSON.parse(line)).toMatchObject({
      id: '9223372036854775808',
      message: 'kill',
      error: { message: 'outer', cause: { message: 'inner', code: 'ECONNREFUSED' } },
    });
  });

  it('in JSON escapes line separators in a line of strings, numbers and booleans', () => {
    const fields = { text: 'a"b\u2028', status: 200, repeated: true, reason: undefined };
    const line = logged({ level: 'info', format: 'json' }, 'request', fields);
    expect(line).toMatch(
      /^\{"text":"a\\"b\\u2028","status":200,"repeated":true,"level":"info","message":"request","timestamp":"[^"]+"\}\n$/,
    );
  });

  it('as text omits undefined fields', () => {
    const line = logged({ level: 'info', format: 'text' }, 'kill', { a: undefined, b: 1 });
    expect(line).toMatch(/ INFO kill b=1\n$/);
  });

  it('as text has the messages of an error and its causes, without stacks', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED ::1:9'), {
      code: 'ECONNREFUSED',
    });
    const error = new ServiceError(
      'node_unavailable',
      { 'en-us': 'The node cannot be reached.', 'zh-cn': '无法连接节点。' },
      { cause: refused },
    );
    const line = logged({ level: 'info', format: 'text' }, 'node unreachable', { error });
    expect(line).toMatch(
      / INFO node unreachable error="The node cannot be reached. \(connect ECONNREFUSED ::1:9\)"\n$/,
    );
  });

  it.each([
    new TypeError('x is not a function'),
    Object.assign(new TypeError('The "size" argument must be a number'), {
      code: 'ERR_INVALID_ARG_TYPE',
    }),
    asServiceError(new Error('x')),
    new ServiceError('node_unavailable', undefined, { cause: new Error('x') }),
  ])('as text has the stack of an error that is a fault of the program: %s', (error) => {
    const line = logged({ level: 'info', format: 'text' }, 'request', { error });
    expect(line).toMatch(/\\n +at .*logger\.test\.ts/);
    expect(line.trimEnd()).not.toContain('\n');
  });

  it('as text escapes terminal control sequences', () => {
    const line = logged({ level: 'info', format: 'text' }, 'kill', {
      user: '\u001b[2Jroot',
      host: 'a\u009b1mb c',
      plain: 'app',
    });
    expect(line).toMatch(/ INFO kill user="\\u001b\[2Jroot" host="a\\u009b1mb c" plain=app\n$/);
  });

  it.each(['json', 'text'] as const)(
    'escapes line ends and bidirectional marks in a name: %s',
    (format) => {
      const user = 'a\u007f\u0085\u2029\u202eb\u2066\u200fc';
      const line = logged({ level: 'info', format }, 'kill', { user });
      expect(line).toContain('"a\\u007f\\u0085\\u2029\\u202eb\\u2066\\u200fc"');
    },
  );
});
