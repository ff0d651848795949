import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { canConnect } from '../tools/can-connect.ts';
import { openSession, type ClientSession } from './support/client-session.ts';
import { processesPath } from './support/ids.ts';
import { scrape } from './support/scrape.ts';
import { liveIds, servers, type Server } from './support/server.ts';
import { ServiceProcess } from './support/service-process.ts';
import { until } from './support/until.ts';

const TOKEN = 'token-of-the-hanging';
const [server] = servers as [Server];
const REQUEST_TIMEOUT_MS = 2500;

let service: ServiceProcess;
let url = '';
let metrics = '';
const opened: ClientSession[] = [];
beforeEach(() => {
  service = new ServiceProcess();
});
afterEach(() => {
  service.remove();
  for (const session of opened.splice(0)) session.close();
});

/** Returns a port without a listener, below the range of ephemeral ports. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    if (!(await canConnect(port))) return port;
  }
}

/** Starts the service on ports that the test chooses, because its log may be unreadable. */
async function start(
  settings = '',
  under: readonly string[] = [],
  requestTimeoutMs = REQUEST_TIMEOUT_MS,
): Promise<void> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  service.configure(server, TOKEN, {
    service: `limits: { request_timeout_ms: ${requestTimeoutMs}, requests_per_minute: 1000000 }
metrics: { port: ${metricsPort} }
${settings}`,
  });
  const file = `${service.folder}/service.yaml`;
  service.write('service.yaml', readFileSync(file, 'utf8').replace('port: 0', `port: ${port}`));
  service.start({ NODE_PASSWORD: server.control.password }, under);
  [url, metrics] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${metricsPort}`];
  await until('it listens', async () => {
    if (service.exitCode !== undefined) throw new Error(`It ended: ${service.output}`);
    return await fetch(`${url}/healthz`).then(
      () => true,
      () => false,
    );
  });
}

async function kill(id: bigint): Promise<[number, string]> {
  const response = await fetch(url + processesPath(), {
    method: 'DELETE',
    headers: { 'X-Auth-Token': TOKEN, 'Content-Type': 'application/json' },
    body: `{"processes":[${id}]}`,
  });
  return [response.status, await response.text()];
}

async function open(): Promise<ClientSession> {
  const session = await openSession(server);
  opened.push(session);
  return session;
}

async function expectKills(): Promise<void> {
  const { id } = await open();
  const answer = `{"processes_killed":[${id}],"processes_not_found":[]}`;
  expect(await kill(id)).toEqual([200, answer]);
  await until('it is gone', async () => !(await liveIds(server)).has(id));
}

/** Makes the service log about a megabyte. */
async function fillLog(): Promise<void> {
  const path = `${url}/${'x'.repeat(255)}`;
  for (let round = 0; round < 40; round += 1) {
    const answers = Array.from({ length: 50 }, () => fetch(path).then((answer) => answer.text()));
    await Promise.all(answers);
  }
}

async function lostLines(): Promise<number | undefined> {
  return (await scrape(metrics)).series.get('session_control_lost_log_lines_total');
}

async function expectToStop(): Promise<void> {
  service.signal('SIGTERM');
  await service.ended();
}

describe('a service whose log cannot be written', () => {
  it('loses only log lines after the reader of its log closes the pipe', async () => {
    await start();
    expect(await lostLines()).toBe(0);
    service.closeOutput();
    await expectKills();
    await until('lines are counted', async () => ((await lostLines()) ?? 0) > 0);
    await expectKills();
    await expectToStop();
    expect(service.exitCode).toBe(0);
  });

  it('loses only log lines while its disk is full', async () => {
    await start('', ['sh', '-c', 'exec "$@" >/dev/full', 'sh']);
    await expectKills();
    await until('lines are counted', async () => ((await lostLines()) ?? 0) > 0);
    await expectToStop();
    expect(service.exitCode).toBe(0);
  });

  it('kills and stops while nobody reads its log', async () => {
    await start();
    service.stopReading();
    await fillLog();
    await expectKills();
    await expectToStop();
  });
});

/** Sends a request whose body never ends. */
async function beginRequest(): Promise<Socket> {
  const client = connect(Number(new URL(url).port), '127.0.0.1');
  client.on('error', () => undefined);
  await once(client, 'connect');
  client.write('DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{');
  return client;
}

describe('a client that stops sending in the middle of a request', () => {
  it('delays the stop of the service by at most the request timeout', async () => {
    await start('', [], 10 * 60_000);
    const patient = service;
    try {
      const clients = [await beginRequest()];
      service = new ServiceProcess();
      await start();
      clients.push(await beginRequest());
      patient.signal('SIGTERM');
      await until('it is stopping', () => patient.events('stopping').length > 0);
      await expectToStop();
      expect(patient.exitCode).toBeUndefined();
      for (const client of clients) client.destroy();
      await patient.ended();
    } finally {
      patient.remove();
    }
  });
});

describe('a service whose audit disk hangs', () => {
  let pipe: number | undefined;
  afterEach(() => {
    if (pipe !== undefined) closeSync(pipe);
    pipe = undefined;
  });

  async function startWithPipe(): Promise<void> {
    const file = `${service.folder}/audit.jsonl`;
    execFileSync('mkfifo', [file]);
    const { O_RDWR, O_NONBLOCK } = constants;
    pipe = openSync(file, O_RDWR | O_NONBLOCK);
    const page = Buffer.alloc(4096);
    // The pipe is full to the last byte, so that each write hangs.
    expect(() => {
      for (;;) writeSync(Number(pipe), page);
    }).toThrow('EAGAIN');
    await start('audit: { file: audit.jsonl }');
  }

  it('kills no session, and stops on SIGTERM', async () => {
    await startWithPipe();
    const { id } = await open();
    expect((await kill(id))[0]).toBe(503);
    expect((await liveIds(server)).has(id)).toBe(true);
    await expectToStop();
  });

  it('stops even if nobody reads its log and a client stops sending', async () => {
    await startWithPipe();
    service.stopReading();
    await fillLog();
    const client = await beginRequest();
    const under = kill((await open()).id).catch(() => undefined);
    await expectToStop();
    await under;
    client.destroy();
  });
});
