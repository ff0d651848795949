import { describe, expect, it, jest } from '@jest/globals';
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
  const budget = new ReadBudget(requestsPerMinute);
  const limited = budget.limit(transport);
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
    budget,
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

  it('reads the nodes in turn, also if one that was read asks again', async () => {
    const { sent, waiting, send, turn, stop } = start(6000);
    const nodes = Array.from({ length: 20 }, (_, index) => `/nodes/n${index}/summary`);
    for (const path of nodes) send(path);
    await turn();
    await until('each node is read', async () => {
      for (const answer of waiting.splice(0)) answer();
      await turn();
      for (const path of nodes.slice(0, 4)) send(path);
      return sent.length >= 20;
    });
    expect(sent.slice(0, 20)).toEqual(nodes.map((path) => `GET ${path}`));
    stop();
  });

  it('does not let the chosen node wait for others, even if it has waited already', async () => {
    const { budget, sent, send, turn, stop } = start(600);
    for (let index = 0; index < 20; index += 1) send(`/nodes/n${index}/summary`);
    await turn();
    expect(sent).toHaveLength(4);
    budget.chosenNode = 'n19';
    await until('it is read', () => sent.length > 4);
    send('/nodes/n19/summary');
    await turn();
    expect(sent.slice(4)).toEqual(['GET /nodes/n19/summary', 'GET /nodes/n19/summary']);
    stop();
  });

  it('is kept with 60 nodes of which 20 hang, and each node is read again and again', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
    const times: number[] = [];
    const reads = new Map<string, number[]>();
    const budget = new ReadBudget(600);
    budget.chosenNode = 'n59';
    const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
    const limited = budget.limit(async ({ url: { pathname } }) => {
      times.push(performance.now());
      await pause(/\/n1?\d\//.test(pathname) ? 10_000 : 50);
      reads.set(pathname, [...(reads.get(pathname) ?? []), performance.now()]);
      return { status: 200, headers: {}, text: '{}' };
    });
    const repeat = async (path: string, requests: number): Promise<void> => {
      for (;;) {
        const url = new URL(path, 'http://127.0.0.1');
        await limited({ method: 'GET', url, headers: {}, timeoutMs: 1000 });
        await pause(budget.pauseFor(requests));
      }
    };
    for (let index = 0; index < 60; index += 1) {
      void repeat(`/nodes/n${index}/summary`, index === 59 ? 1 : 60);
    }
    void repeat('/nodes/n59/processes', 1);
    const start = performance.now();
    await jest.advanceTimersByTimeAsync(600_000);
    jest.useRealTimers();

    const inAMinute = times.map((at) => times.filter((t) => t >= at && t < at + 60_000).length);
    expect(Math.max(...inAMinute)).toBeLessThanOrEqual(150);
    const gap = (path: string): number => {
      const all = [start, ...(reads.get(path) ?? []), start + 600_000];
      return Math.max(...all.slice(1).map((at, index) => at - (all[index] ?? 0)));
    };
    expect(reads.size).toBe(61);
    expect(gap('/nodes/n59/summary')).toBeLessThan(10_000);
    expect(gap('/nodes/n59/processes')).toBeLessThan(10_000);
    expect(Math.max(...[...reads.keys()].map(gap))).toBeLessThan(180_000);
  });
});
