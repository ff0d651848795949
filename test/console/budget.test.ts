import { describe, expect, it } from '@jest/globals';
import type { HttpAnswer, HttpRequest, Transport } from '../../src/client/index.ts';
import { ReadBudget } from '../../src/console/budget.ts';
import { until } from '../support/until.ts';

/** A transport whose requests are answered on demand. */
function start(requestsPerMinute: number) {
  const sent: string[] = [];
  const waiting: (() => void)[] = [];
  const transport: Transport = ({ method, url }) => {
    sent.push(`${method} ${url.pathname}`);
    return new Promise<HttpAnswer>((resolve) => {
      waiting.push(() => {
        resolve({ status: 200, headers: {}, text: '{}' });
      });
    });
  };
  const limited = new ReadBudget(requestsPerMinute).limit(transport);
  const controller = new AbortController();
  const send = (path: string, method = 'GET'): void => {
    const url = new URL(path, 'http://127.0.0.1');
    const request: HttpRequest = {
      ...{ method, url, headers: {}, timeoutMs: 1000, signal: controller.signal },
    };
    limited(request).catch(() => undefined);
  };
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    sent,
    waiting,
    send,
    turn,
    stop: () => {
      controller.abort();
    },
  };
}

describe('the budget of the page', () => {
  it('is a quarter of the reads of the caller', async () => {
    const { sent, send, turn, stop } = start(40);
    for (let count = 0; count < 20; count += 1) send('/processes');
    await turn();
    expect(sent).toHaveLength(10);
    stop();
  });

  it('never delays a kill', async () => {
    const { sent, send, turn, stop } = start(4);
    for (let count = 0; count < 20; count += 1) send('/processes');
    for (let count = 0; count < 20; count += 1) send('/processes', 'DELETE');
    await turn();
    expect(sent.filter((line) => line.startsWith('DELETE'))).toHaveLength(20);
    stop();
  });

  it('counts a dry run as a read', async () => {
    const { sent, send, turn, stop } = start(4);
    for (let count = 0; count < 5; count += 1) send('/processes?dry_run=true', 'DELETE');
    await turn();
    expect(sent).toHaveLength(1);
    stop();
  });

  it('runs four summaries at the same time, and leaves half of the reads to the person', async () => {
    const { sent, waiting, send, turn, stop } = start(80);
    for (let count = 0; count < 30; count += 1) send('/summary');
    await turn();
    expect(sent).toHaveLength(4);
    await until('half of the budget is used', () => {
      for (const answer of waiting.splice(0)) answer();
      return sent.length >= 10;
    });
    send('/processes');
    await turn();
    expect(sent.filter((line) => line.endsWith('/summary'))).toHaveLength(10);
    expect(sent.at(-1)).toBe('GET /processes');
    stop();
  });
});
