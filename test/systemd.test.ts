import { afterAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whyNoProgram, whyNoStrace } from '../tools/program.ts';
import { openSession } from './support/client-session.ts';
import { processesPath } from './support/ids.ts';
import { itNeeds } from './support/needs.ts';
import { scrape } from './support/scrape.ts';
import { servers, type Server } from './support/server.ts';
import { ServiceProcess } from './support/service-process.ts';
import { until } from './support/until.ts';

const UNIT = 'deploy/systemd/session-control.service';
const TOKEN = 'token-of-the-systemd-test';
/** At most this exposure of 10, as systemd rates it: the network, V8's code and the clock device remain. */
const MAX_EXPOSURE = 1.2;

const [server] = servers as [Server];
const unit = readFileSync(UNIT, 'utf8');
// Before version 250, systemd-analyze needs a running systemd.
const why = await whyNoProgram('systemd-analyze', {
  debianPackage: 'systemd',
  trial: ['security', '--offline=true', '--version'],
});
const whyNoTrace = why ?? (await whyNoStrace());

function analyze(...words: readonly string[]): readonly [number | null, string] {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['--no-pager', ...words], {
    encoding: 'utf8',
  });
  return [status, stdout + stderr];
}

/** Returns the system calls in a set such as `@system-service`, with nested sets resolved. */
function callsOf(set: string): readonly string[] {
  const [, listed] = analyze('syscall-filter', set);
  const names = listed.split('\n').filter((line) => /^ {4}[@\w]/.test(line));
  return names
    .map((name) => name.trim())
    .flatMap((name) => (name.startsWith('@') ? callsOf(name) : [name]));
}

/** Returns the values of a setting of the unit, line by line. */
function values(setting: string): readonly string[] {
  return [...unit.matchAll(new RegExp(`^${setting}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}

describe('the unit for systemd', () => {
  const folder = mkdtempSync(join(tmpdir(), 'session-control-unit-'));
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  itNeeds(why, 'passes `systemd-analyze verify` without a warning', () => {
    const copy = join(folder, 'session-control.service');
    // The programs that the unit starts must exist.
    writeFileSync(copy, unit.replaceAll(/(?<=^Exec\w+=)\S+/gm, process.execPath));
    expect(analyze('verify', copy)).toEqual([0, '']);
  });

  itNeeds(why, 'has a low exposure level', () => {
    const threshold = `--threshold=${MAX_EXPOSURE * 10}`;
    const [status, table] = analyze('security', '--offline=true', threshold, UNIT);
    expect([status, table]).toEqual([0, expect.stringContaining('Overall exposure level')]);
  });

  it('limits the memory', () => {
    expect(values('MemoryMax')).toEqual(['1G']);
  });

  it('has a stop timeout that exceeds the request timeout of the example', () => {
    const [, limitMs] =
      /request_timeout_ms: (\d+)/.exec(readFileSync('config/service.yaml', 'utf8')) ?? [];
    expect(Number(values('TimeoutStopSec')[0])).toBeGreaterThan(Number(limitMs) / 1000);
  });
});

describe('the service', () => {
  const service = new ServiceProcess();
  afterAll(() => {
    service.remove();
  });

  itNeeds(whyNoTrace, 'makes no system call that the unit forbids', async () => {
    const trace = join(service.folder, 'trace');
    service.configure(server, TOKEN, {
      service: 'metrics: { port: 0 }\naudit: { file: audit.jsonl }',
    });
    const environment = { NODE_PASSWORD: server.control.password };
    service.start(environment, ['strace', '-f', '-qq', '-o', trace]);
    const session = await openSession(server);
    const response = await fetch((await service.url()) + processesPath(), {
      method: 'DELETE',
      headers: { 'X-Auth-Token': TOKEN, 'Content-Type': 'application/json' },
      body: `{"processes":[${session.id}]}`,
    });
    expect(response.status).toBe(200);
    const port = String(service.events('listening for metrics')[0]?.['port']);
    await scrape(`http://127.0.0.1:${port}`);
    // The signals must reach the service instead of strace.
    const [started = ''] = readFileSync(join(service.folder, 'audit.jsonl'), 'utf8').split('\n');
    const { pid } = JSON.parse(started) as { pid: number };
    process.kill(pid, 'SIGHUP');
    await until('it has reloaded', () => service.events('reloaded').length === 1);
    process.kill(pid, 'SIGTERM');
    expect(await service.ended()).toBe(0);

    const traced = readFileSync(trace, 'utf8');
    const made = new Set([...traced.matchAll(/^\d+ +(\w+)\(/gm)].map(([, call]) => call));
    const allowed = new Set<string | undefined>();
    for (const filter of values('SystemCallFilter')) {
      for (const call of filter.replace('~', '').split(' ').flatMap(callsOf)) {
        if (filter.startsWith('~')) allowed.delete(call);
        else allowed.add(call);
      }
    }
    expect(made.size).toBeGreaterThan(30);
    expect([...made].filter((call) => !allowed.has(call))).toEqual([]);
    const families = new Set([...traced.matchAll(/socket\((\w+)/g)].map(([, family]) => family));
    // The C library asks AF_NETLINK for the machine's address kinds, and works without an answer.
    const granted = ['AF_NETLINK', ...values('RestrictAddressFamilies').join(' ').split(' ')];
    expect([...families].filter((family) => !granted.includes(family ?? ''))).toEqual([]);
  });
});
