import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { verify } from '../../src/audit/records.ts';
import { whyNoStrace } from '../../tools/program.ts';
import { openSessions, type ClientSession } from '../support/client-session.ts';
import { processesPath } from '../support/ids.ts';
import { servers } from '../support/server.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/until.ts';

const TOKEN = 'token-of-the-audit';
/** The number of rounds on each server: thirty in all with two servers. */
const TIMES = Number(process.env['AUDIT_CRASHES'] ?? 15);
const why = await whyNoStrace();
if (why !== undefined) process.stderr.write(`Without the trace of system calls: ${why}\n`);

describe.each(servers)('the audit of kills on $flavour $version', (server) => {
  const password = { NODE_PASSWORD: server.control.password };
  let service: ServiceProcess;
  const opened: ClientSession[] = [];
  beforeEach(() => {
    service = new ServiceProcess();
    service.configure(server, TOKEN, {
      service: 'audit: { file: audit.jsonl }',
      node: 'tls: disabled',
    });
  });
  afterEach(() => {
    service.remove();
    for (const session of opened.splice(0)) session.close();
  });

  const audited = (): string => readFileSync(`${service.folder}/audit.jsonl`, 'utf8');

  async function kill(ids: readonly bigint[]): Promise<number> {
    const response = await fetch(`${await service.url()}${processesPath()}`, {
      method: 'DELETE',
      headers: { 'X-Auth-Token': TOKEN, 'Content-Type': 'application/json' },
      body: `{"processes":[${ids.join(',')}]}`,
    });
    await response.text();
    return response.status;
  }

  async function open(count: number): Promise<ClientSession[]> {
    const sessions = await openSessions(server, count);
    opened.push(...sessions);
    return sessions;
  }

  (why === undefined ? it : it.skip)(
    'is written and synced before the first KILL is sent, as the system calls show',
    async () => {
      const trace = `${service.folder}/trace`;
      const traced = 'trace=openat,write,writev,pwrite64,pwritev,sendto,sendmsg';
      service.start(password, ['strace', '-f', '-s', '200', '-e', traced, '-o', trace]);
      const sessions = await open(3);
      expect(await kill(sessions.map(({ id }) => id))).toBe(200);
      await until('the sessions have ended', () => sessions.every((session) => session.hasEnded()));
      // strace ends with the process that it traces.
      const { pid } = JSON.parse(audited().split('\n', 1)[0] ?? '') as { pid: number };
      process.kill(pid, 'SIGTERM');
      expect(await service.ended()).toBe(0);

      const calls = systemCallsIn(readFileSync(trace, 'utf8'));
      const opening = calls.find(({ text }) => /audit\.jsonl", .*O_SYNC/.test(text));
      const fd = / = (\d+)$/.exec(opening?.text ?? '')?.[1] ?? '?';
      const isWrite = new RegExp(`^p?write(?:v|64)?\\(${fd}, .*record\\\\":\\\\"intent`);
      const intents = calls.filter(({ text }) => isWrite.test(text));
      expect(intents).toHaveLength(1);
      expect(intents[0]?.text).toMatch(/ = [1-9]\d*$/);
      const kills = calls.filter(({ text }) => text.includes('KILL CONNECTION'));
      expect(kills).toHaveLength(3);
      const first = Math.min(...kills.map(({ begun }) => begun));
      expect(intents[0]?.ended).toBeLessThan(first);
    },
  );

  it(
    `has every session that dies although the service is killed with -9 ${TIMES} times`,
    async () => {
      let [died, lived] = [0, 0];
      for (let round = 0; round < TIMES; round += 1) {
        service.start(password);
        // The first request of a process is slow; send it before the measured ones.
        await kill([4_000_000_000n]);
        await until(
          'it is on record that it started',
          () => audited().split('"record":"started"').length === round + 2,
        );
        const sessions = await open(20);
        const requests = sessions.map(({ id }) => kill([id]).catch(() => undefined));
        // The pauses range from before the first list to after the last answer.
        await pause((round % 15) * 10);
        service.signal('SIGKILL');
        await Promise.all(requests);
        await service.ended();
        // The pings leave time for KILLs that are still on their way to the node.
        await Promise.all(
          sessions.map(({ connection }) => connection.ping().catch(() => undefined)),
        );
        const dead = sessions.filter((session) => session.hasEnded());
        died += dead.length;
        lived += sessions.length - dead.length;
        const text = audited();
        const intents = text.split('\n').filter((line) => line.includes('"record":"intent"'));
        for (const { id } of dead) {
          expect(intents.some((line) => line.endsWith('}') && line.includes(`"id":${id},`))).toBe(
            true,
          );
        }
        for (const session of opened.splice(0)) session.close();
      }
      expect(died).toBeGreaterThan(0);
      expect(lived).toBeGreaterThan(0);

      async function* lines(): AsyncIterable<string> {
        for (const line of audited().split('\n').slice(0, -1)) yield await Promise.resolve(line);
      }
      const report = await verify(lines());
      process.stderr.write(
        `${TIMES} times kill -9: ${died} sessions had died, all on record; ${lived} lived; ` +
          `${report.withoutOutcome.length} requests without an outcome\n`,
      );
      expect(report.withoutIntent).toEqual([]);
      expect(report.records['started']).toBe(TIMES);
      // kill -9 does not affect bytes that the system already has, so no line is torn.
      expect(report.torn).toEqual([]);
    },
    TIMES * 10_000,
  );
});

interface SystemCall {
  text: string;
  /** The numbers of the call's first and last line. */
  readonly begun: number;
  ended: number;
}

/** Reads the output of strace for several threads. A call has two lines if other calls interrupt it. */
function systemCallsIn(trace: string): readonly SystemCall[] {
  const calls: SystemCall[] = [];
  const unfinished = new Map<string, SystemCall>();
  for (const [line, whole] of trace.split('\n').entries()) {
    const [, thread = '', text = ''] = /^(\d+) +(.*)$/.exec(whole) ?? [];
    const [, rest] = /^<\.\.\. \w+ resumed>(.*)$/.exec(text) ?? [];
    const [, start] = /^(.*) <unfinished \.\.\.>$/.exec(text) ?? [];
    const before = unfinished.get(thread);
    if (rest !== undefined && before !== undefined) {
      [before.text, before.ended] = [before.text + rest, line];
      continue;
    }
    const call = { text: start ?? text, begun: line, ended: line };
    calls.push(call);
    if (start !== undefined) unfinished.set(thread, call);
  }
  return calls;
}
