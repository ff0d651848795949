import { afterEach, beforeEach, describe, expect } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { makeFakeClock, whyNoFakeClock, type FakeClock } from '../tools/fake-clock.ts';
import { openSession, type ClientSession } from './support/client-session.ts';
import { FakeKeystone } from './support/fake-keystone.ts';
import { nodeKey, processesPath } from './support/ids.ts';
import { itNeeds } from './support/needs.ts';
import { liveIds, servers, type Server } from './support/server.ts';
import { ServiceProcess } from './support/service-process.ts';
import { ACCESS_KEY, sign } from './support/sign.ts';
import { until } from './support/until.ts';

const TOKEN = 'token-of-the-clock';
const [server] = servers as [Server];
const HOURS_2 = 7200;
const missing = await whyNoFakeClock();

describe.each([
  ['back', -HOURS_2],
  ['forward', HOURS_2],
])('a service whose clock is stepped two hours %s', (_way, seconds) => {
  let clock: FakeClock;
  let service: ServiceProcess;
  let iam: FakeKeystone;
  const opened: ClientSession[] = [];
  beforeEach(async () => {
    service = new ServiceProcess();
    iam = new FakeKeystone();
    await iam.start();
    if (missing === undefined) clock = makeFakeClock();
  });
  afterEach(() => {
    service.remove();
    iam.stop();
    if (missing === undefined) clock.remove();
    for (const session of opened.splice(0)) session.close();
  });

  async function start(settings = ''): Promise<void> {
    const { access, secret, user, projectId } = ACCESS_KEY;
    service.configure(server, TOKEN, {
      service: `audit: { file: audit.jsonl }\n${settings}`,
      identity: `
  keystone: { endpoint: "${iam.endpoint}" }
  access_keys:
    - { access: ${access}, secret: "${secret}", user: ${user}, project_id: ${projectId}, actions: ["*"] }`,
    });
    service.start({ NODE_PASSWORD: server.control.password, ...clock.environment });
    await service.url();
  }

  /** Steps the clock, and waits until the Date header of a response follows it. */
  async function step(to: number): Promise<void> {
    clock.step(to);
    await until('the clock is stepped', async () => {
      const { headers } = await fetch(`${await service.url()}/healthz`);
      const ahead = Date.parse(headers.get('date') ?? '') - Date.now();
      return Math.abs(ahead - to * 1000) < 60_000;
    });
  }

  async function call(
    method: string,
    headers: Record<string, string>,
    body?: string,
  ): Promise<{ status: number; text: string; retryAfter: number }> {
    const response = await fetch(`${await service.url()}${processesPath()}`, {
      method,
      headers: { 'Content-Type': 'application/json', ...headers },
      ...(body !== undefined && { body }),
    });
    const retryAfter = Number(response.headers.get('retry-after'));
    return { status: response.status, text: await response.text(), retryAfter };
  }

  async function open(): Promise<ClientSession> {
    const session = await openSession(server);
    opened.push(session);
    return session;
  }

  const bearer = { 'X-Auth-Token': TOKEN };
  const at = (offset: number): Date => new Date(Date.now() + offset * 1000);
  const signed = (body: string, date: Date): Record<string, string> =>
    sign({ method: 'DELETE', path: processesPath(), body, at: date });

  itNeeds(missing, 'lists, kills, and replays its responses to repeated requests', async () => {
    await start();
    expect((await call('GET', bearer)).status).toBe(200);
    const [first, second] = [await open(), await open()];
    const keyed = { ...bearer, 'Idempotency-Key': 'one' };
    const once = await call('DELETE', keyed, `{"processes":[${first.id}]}`);
    expect(once.text).toBe(`{"processes_killed":[${first.id}],"processes_not_found":[]}`);

    await step(seconds);
    expect((await call('GET', bearer)).text).toContain(`"id":${second.id},`);
    expect(await call('DELETE', keyed, `{"processes":[${first.id}]}`)).toEqual(once);
    const killed = await call('DELETE', bearer, `{"processes":[${second.id}]}`);
    expect(killed.text).toBe(`{"processes_killed":[${second.id}],"processes_not_found":[]}`);
    await until('it is gone', async () => !(await liveIds(server)).has(second.id));
    const outcomes = (): number =>
      readFileSync(`${service.folder}/audit.jsonl`, 'utf8').split('"outcome":"killed"').length - 1;
    await until('both outcomes are on record', () => outcomes() >= 2);
    expect(outcomes()).toBe(2);
  });

  itNeeds(missing, 'accepts only requests that are signed with the date of its clock', async () => {
    await start();
    const body = '{"processes":[4000000000]}';
    await step(seconds);
    expect((await call('DELETE', signed(body, at(seconds)), body)).status).toBe(200);
    const late = await call('DELETE', signed(body, at(0)), body);
    expect([late.status, late.text]).toEqual([401, expect.stringContaining('signature expired')]);

    await step(0);
    expect((await call('DELETE', signed(body, at(0)), body)).status).toBe(200);
  });

  itNeeds(missing, 'refuses a request that was signed before it started', async () => {
    await start();
    const body = '{"processes":[4000000000]}';
    await step(seconds);
    const before = await call('DELETE', signed(body, at(seconds - 600)), body);
    expect([before.status, before.text]).toEqual([
      401,
      expect.stringContaining('signature expired'),
    ]);
  });

  itNeeds(missing, 'refuses a caller beyond the rate limit for at most a minute', async () => {
    await start('limits: { requests_per_minute: 3 }');
    const statuses: number[] = [];
    for (let n = 0; n < 4; n += 1) statuses.push((await call('GET', bearer)).status);
    expect(statuses).toEqual([200, 200, 200, 429]);

    await step(seconds);
    const { status, retryAfter } = await call('GET', bearer);
    expect(status).toBe(429);
    expect(retryAfter).toBeGreaterThanOrEqual(1);
    expect(retryAfter).toBeLessThanOrEqual(60);
  });

  itNeeds(missing, 'keeps a locked access key locked', async () => {
    await start();
    const body = '{"processes":[4000000000]}';
    for (let n = 0; n < 5; n += 1) {
      const { Authorization = '', ...headers } = signed(body, at(0));
      const forged = Authorization.replace(/.{8}$/, '00000000');
      expect((await call('DELETE', { ...headers, Authorization: forged }, body)).status).toBe(401);
    }
    expect((await call('DELETE', signed(body, at(0)), body)).text).toContain('forbidden');
    await step(seconds);
    expect((await call('DELETE', signed(body, at(seconds)), body)).text).toContain('forbidden');
  });

  itNeeds(missing, 'accepts a token until the expiry that IAM reports', async () => {
    iam.tokens.set('hour', { projectId: nodeKey.projectId, expiresAt: at(3600) });
    await start();
    const before = await call('GET', { 'X-Auth-Token': 'hour' });
    expect(before.status).toBe(200);
    await step(seconds);
    expect((await call('GET', { 'X-Auth-Token': 'hour' })).status).toBe(200);
    iam.tokens.set('other', { projectId: nodeKey.projectId, expiresAt: at(3600) });
    expect((await call('GET', { 'X-Auth-Token': 'other' })).status).toBe(200);
    iam.tokens.set('soon', { projectId: nodeKey.projectId, expiresAt: at(5) });
    expect((await call('GET', { 'X-Auth-Token': 'soon' })).status).toBe(200);
    await until(
      'it is refused',
      async () => (await call('GET', { 'X-Auth-Token': 'soon' })).status === 401,
    );
  });
});
