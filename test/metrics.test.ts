import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { openSession, type ClientSession } from './support/client-session.ts';
import { nodeKey, processesPath } from './support/ids.ts';
import { scrape, type Scrape } from './support/scrape.ts';
import { servers, type Server } from './support/server.ts';
import { ServiceProcess } from './support/service-process.ts';
import { until } from './support/until.ts';

const TOKEN = 'token-of-the-metrics-test';
const [server] = servers as [Server];

let service: ServiceProcess;
const opened: ClientSession[] = [];
beforeEach(() => {
  service = new ServiceProcess();
});
afterEach(() => {
  service.remove();
  for (const session of opened.splice(0)) session.close();
});

async function open(): Promise<ClientSession> {
  const session = await openSession(server);
  opened.push(session);
  return session;
}

function metricsUrl(): string {
  return `http://127.0.0.1:${String(service.events('listening for metrics')[0]?.['port'])}`;
}

async function call(
  method: string,
  { body, path = processesPath(), ...headers }: Record<string, string> = {},
): Promise<number> {
  const response = await fetch((await service.url()) + path, {
    method,
    headers: { 'X-Auth-Token': TOKEN, 'Content-Type': 'application/json', ...headers },
    ...(body !== undefined && { body }),
  });
  await response.text();
  return response.status;
}

/** Returns the service's series that are not 0; of a histogram only its count. */
function counted({ series }: Scrape): Record<string, number> {
  return Object.fromEntries(
    [...series].filter(
      ([name, value]) =>
        name.startsWith('session_control_') && value !== 0 && !/_(bucket|sum)\b/.test(name),
    ),
  );
}

const ROUTE = '/v3/:project_id/instances/:instance_id/nodes/:node_id/processes';

describe('the metrics', () => {
  it('name the calls on locks by their patterns, never by an id', async () => {
    service.configure(server, TOKEN, { service: 'metrics: { port: 0 }' });
    service.start({ NODE_PASSWORD: server.control.password });
    const session = await open();
    const node = processesPath().replace(/\/processes$/, '');
    expect(await call('GET', { path: `${node}/blockers` })).toBe(200);
    const lockWait = `${node}/process/lock-wait?pid=`;
    expect(await call('GET', { path: lockWait + session.id.toString() })).toBe(200);
    expect(await call('GET', { path: `${lockWait}4000000000` })).toBe(404);
    const of = (name: string, status: number): string =>
      `session_control_requests_total{method="GET",route="${ROUTE.replace('processes', name)}",status="${status}"}`;
    const found = counted(await scrape(metricsUrl()));
    const requests = Object.entries(found).filter(([name]) =>
      name.includes('requests_total{method'),
    );
    expect(Object.fromEntries(requests)).toEqual({
      [of('blockers', 200)]: 1,
      [of('process/lock-wait', 200)]: 1,
      [of('process/lock-wait', 404)]: 1,
    });
  });

  it('count kills by outcome and time each stage, on a port that closes with the service', async () => {
    service.configure(server, TOKEN, {
      service: 'metrics: { port: 0 }\naudit: { file: audit.jsonl }',
    });
    service.start({ NODE_PASSWORD: server.control.password });
    const [a, b] = [await open(), await open()];
    expect(
      await call('DELETE', { body: `{"processes":[${a.id},4000000000]}`, Prefer: 'wait=5' }),
    ).toBe(200);
    expect(await call('DELETE', { body: `{"processes":[${b.id}]}` })).toBe(200);
    expect(
      await call('DELETE', {
        body: `{"processes":[${b.id}]}`,
        path: `${processesPath()}?dry_run=true`,
      }),
    ).toBe(200);
    expect(await call('GET')).toBe(200);
    expect(await call('GET', { path: `/v3/${nodeKey.projectId}/nodes` })).toBe(200);
    expect(await call('GET', { 'X-Auth-Token': 'wrong' })).toBe(401);
    expect(await call('PATCH', { path: '/nowhere/at/all' })).toBe(404);
    expect(await call('GET', { path: '/healthz' })).toBe(200);

    const found = await scrape(metricsUrl());
    const stage = (name: string): string =>
      `session_control_stage_duration_seconds_count{stage="${name}"}`;
    const { [stage('list')]: lists = 0, ...others } = counted(found);
    // The number of lists depends on when the node ends the session.
    expect(lists).toBeGreaterThanOrEqual(4);
    expect(others).toEqual({
      'session_control_kills_total{outcome="killed"}': 2,
      'session_control_kills_total{outcome="not_found"}': 1,
      'session_control_refused_requests_total{reason="unauthenticated"}': 1,
      [`session_control_requests_total{method="DELETE",route="${ROUTE}",status="200"}`]: 3,
      [`session_control_requests_total{method="GET",route="${ROUTE}",status="200"}`]: 1,
      'session_control_requests_total{method="GET",route="/v3/:project_id/nodes",status="200"}': 1,
      [`session_control_requests_total{method="GET",route="${ROUTE}",status="401"}`]: 1,
      'session_control_requests_total{method="other",route="other",status="404"}': 1,
      [`session_control_request_duration_seconds_count{method="DELETE",route="${ROUTE}"}`]: 3,
      [`session_control_request_duration_seconds_count{method="GET",route="${ROUTE}"}`]: 2,
      'session_control_request_duration_seconds_count{method="GET",route="/v3/:project_id/nodes"}': 1,
      'session_control_request_duration_seconds_count{method="other",route="other"}': 1,
      [stage('queue')]: 7,
      [stage('auth')]: 6,
      [stage('connect')]: 4,
      [stage('audit')]: 2,
      [stage('kill')]: 2,
      [stage('wait')]: 1,
      session_control_nodes: 1,
      'session_control_control_connections{state="idle"}': 1,
      'session_control_breakers{state="closed"}': 1,
      session_control_audit_writable: 1,
      session_control_last_reload_succeeded: 1,
    });
    expect(found.series.get('process_resident_memory_bytes')).toBeGreaterThan(1e7);
    expect(found.series.has('nodejs_eventloop_lag_p99_seconds')).toBe(true);
    expect(await call('GET', { path: '/metrics' })).toBe(404);

    service.signal('SIGTERM');
    expect(await service.ended()).toBe(0);
    await expect(scrape(metricsUrl())).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
  });

  it('report an unreachable node, an audit that cannot be written, and a refused reload', async () => {
    service.configure(server, TOKEN, {
      service: 'metrics: { port: 0 }\naudit: { file: /dev/full }',
    });
    service.write('nodes.yaml', nodes([1]));
    service.start();
    const path = processesPath(nodeOf(0));
    const statuses: number[] = [];
    for (let request = 0; request < 4; request += 1) statuses.push(await call('GET', { path }));
    expect(statuses).toEqual([500, 500, 500, 503]);
    service.write('service.yaml', 'sever: {}');
    service.signal('SIGHUP');
    await until('it has refused', () => service.output.includes('reload refused'));

    const { series } = await scrape(metricsUrl());
    const of = (name: string): number | undefined => series.get(`session_control_${name}`);
    // After its pause the breaker is half open.
    expect((of('breakers{state="open"}') ?? 0) + (of('breakers{state="half_open"}') ?? 0)).toBe(1);
    expect(of('refused_requests_total{reason="overloaded"}')).toBe(1);
    expect(of('audit_writable')).toBe(0);
    expect(of('last_reload_succeeded')).toBe(0);
    expect(service.events('node unreachable')).toMatchObject([
      {
        level: 'warn',
        node_id: nodeOf(0).nodeId,
        effect: 'requests to the node get 503 for up to 5 s',
      },
    ]);
  });

  it('have as many series for 200 nodes as for one', async () => {
    service.configure(server, TOKEN, { service: 'metrics: { port: 0 }' });
    service.write('nodes.yaml', nodes(Array.from({ length: 200 }, () => server.port)));
    service.start({ NODE_PASSWORD: server.control.password });
    expect(await call('GET', { path: processesPath(nodeOf(0)) })).toBe(200);
    const one = await scrape(metricsUrl());
    for (let index = 1; index < 30; index += 1) {
      expect(await call('GET', { path: processesPath(nodeOf(index)) })).toBe(200);
    }
    const many = await scrape(metricsUrl());

    const ours = ({ series }: Scrape): string[] =>
      [...series.keys()].filter((name) => name.startsWith('session_control_'));
    expect(ours(many)).toEqual(ours(one));
    expect(ours(many).length).toBeLessThan(250);
    expect(many.series.get('session_control_nodes')).toBe(200);
    expect(many.series.get('session_control_control_connections{state="idle"}')).toBe(30);
    for (const id of Object.values(nodeOf(0))) expect(many.text).not.toContain(id);
  });

  it.each([
    ['metrics', (port: number) => `metrics: { port: ${port} }`],
    ['the API', () => 'metrics: { port: 0 }'],
  ])(
    'make the process exit with 1 at its start if the port for %s is taken',
    async (what, settings) => {
      const holder = createServer().listen(0, '127.0.0.1');
      await once(holder, 'listening');
      const { port } = holder.address() as AddressInfo;
      try {
        service.configure(server, TOKEN, { service: settings(port) });
        if (what === 'the API') {
          const file = `${service.folder}/service.yaml`;
          // The first "port: 0" is that of the API.
          writeFileSync(file, readFileSync(file, 'utf8').replace('port: 0', `port: ${port}`));
        }
        service.start({ NODE_PASSWORD: 'x' });
        expect(await service.ended()).toBe(1);
        expect(service.events('cannot listen')).toMatchObject([
          { host: '127.0.0.1', port, error: { code: 'EADDRINUSE' } },
        ]);
        expect(service.events('listening')).toEqual([]);
      } finally {
        holder.close();
      }
    },
  );
});

function nodeOf(index: number): typeof nodeKey {
  const digits = index.toString(16).padStart(32, '0');
  return { ...nodeKey, nodeId: `${digits}no07` };
}

/** Returns a nodes.yaml with a node at each of these ports. */
function nodes(ports: readonly number[]): string {
  const { projectId, instanceId } = nodeKey;
  const entries = ports.map(
    (port, index) =>
      `  - { node_id: ${nodeOf(index).nodeId}, instance_id: ${instanceId}, project_id: ${projectId}, host: ${server.host}, port: ${port}, user: ${server.control.user}, password: "${server.control.password}" }`,
  );
  return `nodes:\n${entries.join('\n')}\n`;
}
