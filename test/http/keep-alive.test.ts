import { afterEach, beforeEach, describe, expect } from '@jest/globals';
import { request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { obtainProxy, startProxy } from '../../tools/proxies.ts';
import type { Proxy, ProxyKind, ProxyProgram } from '../../tools/proxies.ts';
import { processesPath } from '../support/ids.ts';
import { itNeeds } from '../support/needs.ts';
import { servers, type Server } from '../support/server.ts';
import { ServiceProcess } from '../support/service-process.ts';

const TOKEN = 'token-of-the-proxies';
const [server] = servers as [Server];
/** The number of moments at which requests come, each over its own connections. */
const MOMENTS = 20;
const REQUESTS_A_MOMENT = 15;

/** How long the proxy keeps an idle connection to the service, as its configuration says; undefined for its default. */
type Pool = string | undefined;

const CONFIGURATIONS: Readonly<
  Record<ProxyKind, (to: string, pool: Pool) => (port: number, folder: string) => string>
> = {
  nginx: (to, pool) => (port, folder) => `
daemon off;
pid ${folder}/pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  ${eachMoment((n) => `upstream u${n} { server ${to}; keepalive 64; ${pool === undefined ? '' : `keepalive_timeout ${pool};`} }`)}
  server {
    listen 127.0.0.1:${port};
    ${eachMoment((n) => `location /${n}/ { proxy_pass http://u${n}/; }`)}
  }
}
`,
  haproxy: (to, pool) => (port) => `
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend all
  bind 127.0.0.1:${port}
  ${eachMoment((n) => `use_backend b${n} if { path_beg /${n}/ }`)}
${eachMoment(
  (n) => `
backend b${n}
  http-reuse always
  http-request replace-path /${n}(/.*) \\1
  server service ${to} pool-max-conn 64 ${pool === undefined ? '' : `pool-purge-delay ${pool}`}`,
)}
`,
};

function eachMoment(line: (n: number) => string): string {
  return Array.from({ length: MOMENTS }, (_, n) => line(n)).join('\n  ');
}

const programs = new Map<ProxyKind, ProxyProgram>();
const reasons = new Map<ProxyKind, string>();
for (const kind of ['nginx', 'haproxy'] as const) {
  await obtainProxy(kind).then(
    (program) => programs.set(kind, program),
    (error: unknown) => reasons.set(kind, (error as Error).message),
  );
}

let service: ServiceProcess;
let proxy: Proxy | undefined;
beforeEach(() => {
  service = new ServiceProcess();
});
afterEach(async () => {
  service.remove();
  await proxy?.stop();
  proxy = undefined;
});

/** Sends a POST, which no proxy repeats, and returns its status, or how the connection ended. */
function post(port: number, moment: number): Promise<number | string> {
  return new Promise((resolve) => {
    const sent = request({
      port,
      host: '127.0.0.1',
      method: 'POST',
      path: `/${moment}${processesPath()}`,
      agent: false,
      headers: {
        'X-Auth-Token': TOKEN,
        'X-HTTP-Method-Override': 'DELETE',
        'Content-Type': 'application/json',
      },
    });
    sent.on('response', (answer) => {
      answer.resume().on('end', () => {
        resolve(answer.statusCode ?? 0);
      });
    });
    sent.on('error', (error) => {
      resolve(error.message);
    });
    sent.end('{"processes":[4000000000]}');
  });
}

async function burst(port: number, moment: number): Promise<readonly (number | string)[]> {
  return await Promise.all(Array.from({ length: REQUESTS_A_MOMENT }, () => post(port, moment)));
}

/** Leaves connections of the proxy idle for about `idleMs`, and counts the results of the 300 requests that follow. */
async function answersAround(
  port: number,
  idleMs: number,
): Promise<ReadonlyMap<number | string, number>> {
  const moments = Array.from({ length: MOMENTS }, (_, n) => n);
  const answers = await Promise.all(
    moments.map(async (moment) => {
      await pause(moment * 100);
      await burst(port, moment);
      await pause(idleMs + (moment - MOMENTS / 2) * 5);
      return await burst(port, moment);
    }),
  );
  const counts = new Map<number | string, number>();
  for (const answer of answers.flat()) counts.set(answer, (counts.get(answer) ?? 0) + 1);
  return counts;
}

const ALL_WELL = new Map([[200, MOMENTS * REQUESTS_A_MOMENT]]);

describe.each([
  { kind: 'nginx', idleMs: [1000, 3000] },
  // HAProxy closes idle connections gradually.
  { kind: 'haproxy', idleMs: [1000] },
] as const)('behind $kind', ({ kind, idleMs }) => {
  async function start(more: string, pool: Pool): Promise<number> {
    const program = programs.get(kind);
    if (program === undefined) throw new Error(reasons.get(kind));
    service.configure(server, TOKEN, {
      server: more,
      service: 'limits: { requests_per_minute: 1000000 }',
    });
    service.start({ NODE_PASSWORD: server.control.password });
    const { host } = new URL(await service.url());
    proxy = await startProxy(kind, program, CONFIGURATIONS[kind](host, pool));
    return proxy.port;
  }

  itNeeds(
    reasons.get(kind),
    'the service loses no request at the default keep-alive timeout of Node.js',
    async () => {
      const port = await start('', undefined);
      expect(await answersAround(port, 6000)).toEqual(ALL_WELL);
    },
  );

  for (const idle of idleMs) {
    itNeeds(
      reasons.get(kind),
      `the service loses no request after ${idle} idle ms if the proxy closes after 1 s`,
      async () => {
        const port = await start('keep_alive_timeout_ms: 2000', '1s');
        expect(await answersAround(port, idle)).toEqual(ALL_WELL);
      },
    );
  }
});
