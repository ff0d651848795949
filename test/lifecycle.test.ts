import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, it } from '@jest/globals';
import { close, type ServiceParts } from '../src/lifecycle.ts';
import { until } from './support/until.ts';

it('closes the audit at the end although a read of the history hangs', async () => {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const closed: string[] = [];
  const logged: string[] = [];
  const parts = {
    config: { limits: { request_timeout_ms: 60_000 } },
    log: { info: (message: string) => logged.push(message) },
    listener,
    mysqlNodes: { close: () => closed.push('nodes') },
    history: { close: () => new Promise(() => undefined) },
    audit: { close: () => Promise.resolve(closed.push('audit')) },
  } as unknown as ServiceParts;

  close(parts, () => undefined);

  await until('the audit is closed', () => closed.includes('audit'));
  expect(closed).toEqual(['nodes', 'audit']);
  // The end of the process is then up to the time limit.
  expect(logged).toEqual([]);
});
