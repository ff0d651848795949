import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LaunchedService } from '../lib/launched-service.ts';
import { Client, killRequest } from './client.ts';
import { sharesOf, type CpuProfile, type Share } from './cpu-profile.ts';
import { crowd } from './measure-callers.ts';
import { using, type ServerRig } from './rig.ts';
import { repeat } from './rounds.ts';
import { createService } from './service.ts';

const SAMPLE_MICROSECONDS = 100;
const WARM_UPS = 3000;
const KILLS = 100;
const CALLERS_MS = 5000;
const MAX_SHOWN = 25;

/** Shows the use of the processor time by the service, with one kill after the other, and with 100 concurrent callers. */
export async function profileService(rig: ServerRig, say: (line: string) => void): Promise<void> {
  const { node, rounds, name } = rig;
  await profileWhile(rig, `${name}, a: one kill at a time`, say, async (service) => {
    const client = new Client(service.port);
    await client.ready();
    await repeat(WARM_UPS, () => client.ask(killRequest(0, [2_000_000_000])));
    const begun = now();
    const spans = await repeat(rounds, async () => {
      const ids = await node.victims(KILLS);
      await client.ready();
      for (const id of ids) await client.kill(0, [id]);
      await node.settled();
    });
    client.close();
    return { begun, ended: now(), requests: spans.length * KILLS };
  });
  await profileWhile(rig, `${name}, d: 100 concurrent callers`, say, async (service) => {
    await crowd(service.port, CALLERS_MS / 2);
    const begun = now();
    const requests = await crowd(service.port, CALLERS_MS);
    return { begun, ended: now(), requests };
  });
}

interface Span {
  readonly begun: number;
  readonly ended: number;
  readonly requests: number;
}

async function profileWhile(
  rig: ServerRig,
  title: string,
  say: (line: string) => void,
  load: (service: LaunchedService) => Promise<Span>,
): Promise<void> {
  const folder = mkdtempSync(join(rig.build.folder, 'profile-'));
  const service = createService(rig.build, {
    nodePorts: [rig.node.server.port],
    nodeOptions: [
      ...['--cpu-prof', `--cpu-prof-dir=${folder}`],
      `--cpu-prof-interval=${SAMPLE_MICROSECONDS}`,
    ],
  });
  await using(
    rig,
    () => {
      service.remove();
    },
    async () => {
      rig.progress(title);
      await service.launch();
      const { begun, ended, requests } = await load(service);
      await service.stop('SIGTERM');
      const shares = sharesOf(readProfile(folder), begun, ended);
      const each = ((shares.busyMs / requests) * 1000).toFixed(0);
      say(`\n${title}: ${requests} requests, ${each} µs of processor time each`);
      show('By package', shares.packages, say);
      show('By user', shares.users, say);
      show('By function', shares.functions, say);
    },
  );
}

function show(how: string, shares: readonly Share[], say: (line: string) => void): void {
  say(`\n${how}`);
  for (const { name, percent } of shares.slice(0, MAX_SHOWN)) {
    say(`${percent.toFixed(1).padStart(5)} %  ${name}`);
  }
}

function readProfile(folder: string): CpuProfile {
  const [file] = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'));
  if (file === undefined) throw new Error('The service has written no profile.');
  return JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile;
}

/** Returns the time of the monotonic clock in microseconds, as a profile has it. */
function now(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
