import { complaint } from '../server-binaries.ts';
import { onceSignalled, readCommandLine } from '../lib/command-line.ts';
import { Build } from '../lib/build.ts';
import { measureBatch } from './measure-batch.ts';
import { measureCallers } from './measure-callers.ts';
import { measureCrowd } from './measure-crowd.ts';
import { measureHistory } from './measure-history.ts';
import { measureKill } from './measure-kill.ts';
import { measureLocks } from './measure-locks.ts';
import { measureStart } from './measure-start.ts';
import { BenchNode } from './node.ts';
import { profileService } from './profile.ts';
import { table } from './report.ts';
import { Results } from './results.ts';
import { FEW, using, type Rig, type ServerRig } from './rig.ts';
import { save } from './save.ts';
import { isWhole, readArguments, USAGE } from './settings.ts';
import type { Measurement, Settings } from './settings.ts';

const NAMES = { mariadb: 'MariaDB', mysql: 'MySQL' };
const MAX_CONNECTIONS = 2000;

process.exit(await main());

async function main(): Promise<number> {
  const settings = readCommandLine(USAGE, () => {
    const read = readArguments(process.argv.slice(2));
    return read.isHelpWanted ? undefined : read;
  });
  if (typeof settings === 'number') return settings;
  const signalled = onceSignalled();
  const undos = new Set<() => Promise<void>>();
  try {
    return await Promise.race([measure(settings, undos), signalled]);
  } catch (error) {
    say(complaint(error));
    return 1;
  } finally {
    for (const undo of [...undos].reverse()) await undo().catch(() => undefined);
  }
}

async function measure(settings: Settings, undos: Set<() => Promise<void>>): Promise<number> {
  const begun = performance.now();
  const build = new Build();
  const rig: Rig = {
    build,
    results: new Results(),
    rounds: settings.rounds,
    progress: (text) => {
      say(`... ${((performance.now() - begun) / 1000).toFixed(0)} s: ${text}`);
    },
    atEnd: (undo) => {
      const once = async (): Promise<void> => {
        if (undos.delete(once)) await undo();
      };
      undos.add(once);
      return once;
    },
  };
  rig.atEnd(() => build.remove());
  rig.progress('building the service');
  await build.make();
  const versions: Record<string, string> = {};
  for (const kind of settings.servers) {
    rig.progress(`starting ${NAMES[kind]}`);
    const node = await BenchNode.start(kind, MAX_CONNECTIONS);
    const version = node.server.version.split('-')[0] ?? '';
    versions[kind] = version;
    const serverRig = { ...rig, node, name: `${NAMES[kind]} ${version}` };
    await using(
      rig,
      () => node.stop(),
      () => measureOn(serverRig, settings),
    );
  }
  if (settings.isProfileWanted) return 0;
  say(`\n${table(rig.results)}`);
  if (isWhole(settings)) say(`\n${await save(rig.results, versions, settings.rounds)}`);
  return 0;
}

async function measureOn(rig: ServerRig, settings: Settings): Promise<void> {
  const { only } = settings;
  await rig.node.populate(FEW);
  if (settings.isProfileWanted) {
    await profileService(rig, say);
    return;
  }
  if (only.has('a')) await measureKill(rig);
  if (only.has('b')) await measureBatch(rig);
  if (only.has('d')) await measureCallers(rig);
  // These do not depend on the server, so one measurement is enough.
  const isFirst = rig.results.lanes.every(({ measurement }) => !'fi'.includes(measurement));
  if (only.has('f') && isFirst) await measureStart(rig);
  if (only.has('i') && isFirst) await measureHistory(rig);
  if (only.has('g')) await measureLocks(rig);
  if (['c', 'e', 'h'].some((one) => only.has(one as Measurement))) {
    await measureCrowd(rig, settings.crowd, only);
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
