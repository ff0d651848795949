import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { processesPath } from '../support/ids.ts';
import { ACCESS_KEY } from '../support/sign.ts';
import { BesiegedService } from '../support/stranger.ts';
import { until } from '../support/until.ts';

const MEBIBYTE = 1024 * 1024;
/** The sockets that listen, and those to the node. */
const OWN_SOCKETS = 16;

let service: BesiegedService;
beforeEach(() => {
  service = new BesiegedService();
});
afterEach(() => {
  service.stop();
});

/** Serves the caller during `attack`, and prints how much longer that takes than without it. */
async function serveDuring(attack: () => Promise<unknown>): Promise<void> {
  await service.serve();
  const quiet = await service.serve();
  const [besieged] = await Promise.all([service.serve(), attack()]);
  process.stdout.write(
    `${expect.getState().currentTestName ?? ''}: × ${(besieged / quiet).toFixed(1)}\n`,
  );
}

const get = (...headers: readonly string[]): string =>
  [`GET ${processesPath()} HTTP/1.1`, 'Host: a', ...headers, '', ''].join('\r\n');

describe('a stranger', () => {
  it('costs little time with a signature over thousands of names', async () => {
    await service.start();
    const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
    const signed = (names: number): string =>
      `Authorization: SDK-HMAC-SHA256 Access=${ACCESS_KEY.access}, SignedHeaders=x-sdk-date${';a'.repeat(names)}, Signature=${'0'.repeat(64)}`;
    const request = (names: number, headers: number): string =>
      get(
        'Connection: close',
        `X-Sdk-Date: ${date}`,
        signed(names),
        ...Array<string>(headers).fill('b:'),
      );
    const answers: string[] = [];

    await serveDuring(async () => {
      answers.push(await service.exchange(request(12_000, 6_000)));
      answers.push(await service.exchange(request(12_000, 100)));
      answers.push(await service.exchange(request(0, 197)));
      answers.push(await service.exchange(request(0, 196)));
    });

    expect(answers.map((answer) => answer.slice(0, 12))).toEqual([
      'HTTP/1.1 431',
      'HTTP/1.1 401',
      'HTTP/1.1 431',
      'HTTP/1.1 401',
    ]);
    expect(answers[1]).toContain('SignedHeaders must be at most 64 names, none twice');
    expect(answers[2]).toContain('A request has at most 200 headers.');
  });

  it('gets one response at a time to a thousand pipelined requests on each of a hundred connections', async () => {
    await service.start();
    const before = service.memory();
    let most = 0;

    await serveDuring(async () => {
      for (let n = 0; n < 100; n += 1) service.stranger().write(get().repeat(1000));
      await until('the stranger is answered', () => service.carriedOut() > 1000);
      for (let n = 0; n < 5; n += 1) {
        await service.serve();
        most = Math.max(most, service.carriedOutMeanwhile);
      }
    });

    expect(most).toBeLessThan(1000);
    expect(service.memory() - before).toBeLessThan(100 * MEBIBYTE);
  });

  it('blocks no caller with idle connections from one address or from many', async () => {
    await service.start();

    await serveDuring(async () => {
      const one = Array.from({ length: 1500 }, () => service.stranger().resume());
      // Beyond its backlog, the system retries a connection only after seconds.
      await until('those beyond the bound are closed', () => service.strangers <= 1024);
      await service.serve();
      expect(one.filter(({ closed }) => closed).length).toBeGreaterThanOrEqual(1500 - 1024);
      for (let n = 0; n < 9; n += 1) {
        for (let m = 0; m < 1000; m += 1) service.stranger(`127.0.0.${10 + n}`).resume();
        await service.serve();
      }
    });

    await until('those beyond the bound are closed', () => service.strangers <= 8192);
    expect(service.sockets()).toBeLessThanOrEqual(8192 + OWN_SOCKETS);
  });

  it('blocks no caller with connections that send a request, stay open, and return when they are closed', async () => {
    await service.start({ server: 'max_connections_per_address: 100' });
    let isOver = false;
    const stay = (): void => {
      const socket = service.stranger().resume();
      socket.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n');
      socket.once('close', () => {
        if (!isOver) stay();
      });
    };

    await serveDuring(async () => {
      for (let n = 0; n < 200; n += 1) stay();
      for (let n = 0; n < 10; n += 1) await service.serve();
      isOver = true;
    });

    await until('those beyond the bound are closed', () => service.strangers <= 100);
  });

  const body = (length: number): string =>
    `DELETE ${processesPath()} HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`;

  it.each([
    ['bodies whose last byte never comes', 3000, () => body(262_144) + 'a'.repeat(262_143)],
    [
      'bodies in chunks of one byte',
      300,
      () =>
        `${body(0).replace(/Content.*0/, 'Transfer-Encoding: chunked')}${'1\r\na\r\n'.repeat(43_000)}`,
    ],
    ['headers that never end', 3000, () => `${get().slice(0, -2)}X: ${'a'.repeat(65_000)}`],
    [
      'headers of one byte that never end',
      3000,
      () => `${get().slice(0, -2)}${'a:\r\n'.repeat(16_000)}`,
    ],
    ['requests behind an unfinished one', 3000, () => `${body(9)}${get().repeat(1300)}`],
  ])('takes little memory with %s', async (_what, count, bytes) => {
    await service.start();
    await service.serve();
    const before = service.memory();
    const [sent, most] = [bytes(), { bytes: 0 }];

    await serveDuring(async () => {
      for (let n = 0; n < count; n += 1) {
        service
          .stranger(`127.0.0.${2 + (n % 3)}`)
          .resume()
          .write(sent);
        if (n % 100 < 99) continue;
        await service.serve();
        most.bytes = Math.max(most.bytes, service.memory() - before);
      }
    });

    expect(Math.round(most.bytes / MEBIBYTE)).toBeLessThan(300);
  });
});
