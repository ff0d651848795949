import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { afterEach, expect, it, jest } from '@jest/globals';
import type { Connection } from 'mysql2';
import { Mysql2Connection } from '../../src/mysql/driver/mysql2-connection.ts';

afterEach(() => {
  jest.restoreAllMocks();
});

it('a statement without an answer fails with its own timeout, even on a slow machine', async () => {
  const nothing = (): void => undefined;
  const stream = Object.assign(new PassThrough(), { ref: nothing, unref: nothing });
  const driver = { state: 'authenticated', stream, query: nothing };
  const connection = new Mysql2Connection(driver as unknown as Connection);
  let now = 0;
  jest.spyOn(performance, 'now').mockImplementation(() => (now += 1));
  const broken = once(stream, 'error');

  void connection.query('KILL CONNECTION 7', 30, Infinity);

  expect(await broken).toMatchObject([{ code: 'DEADLINE', timeoutMs: 30 }]);
});
