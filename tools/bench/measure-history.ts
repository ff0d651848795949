import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../lib/until.ts';
import { instanceId, nodeId, PROJECT } from '../fleet/names.ts';
import { Client, historyRequest } from './client.ts';
import { using, type ServerRig } from './rig.ts';
import { interleave, repeat, timed, type Lane } from './rounds.ts';
import { createService } from './service.ts';

/** The number of records in each audit. The last one has the aim. */
const SIZES = [10_000, 1_000_000] as const;
const PAGES = 5;
const INDEX_DEADLINE_MS = 120_000;
const HALF_A_DAY_MS = 12 * 3_600_000;
/** The number of records in one write to the file. */
const CHUNK = 10_000;

/**
 * Measurement i: page 1 of the history of kills from an audit of a million records, compared with one of ten thousand. Both hold kills
 * of the last 12 hours. The first page after a start has no index yet, and is measured as well.
 */
export async function measureHistory(rig: ServerRig): Promise<void> {
  const { build, node, results, name, rounds } = rig;
  const lanes: Lane[] = [];
  const undos: (() => void)[] = [];
  await using(
    rig,
    () => {
      for (const undo of undos) undo();
    },
    async () => {
      for (const size of SIZES) {
        const service = createService(build, { nodePorts: [node.server.port], isAudited: true });
        const client = new Client(service.port);
        undos.push(() => {
          client.close();
          service.remove();
        });
        rig.progress(`writing an audit of ${size} records`);
        writeAudit(join(service.folder, 'audit.jsonl'), size);
        await service.launch();
        const ask = async (): Promise<void> => {
          const { status, body } = await client.ask(historyRequest(0));
          const isRight = status === 200 && body.includes('"outcome":"killed"');
          assert(isRight, `The history was answered with ${status} ${body.slice(0, 500)}`);
        };
        await client.ready();
        results.lane('i', name, `first page after a start, ${size}`, [await timed(ask)]);
        const index = join(service.folder, 'audit.jsonl.index');
        await until('the index is complete', () => existsSync(index), INDEX_DEADLINE_MS, 100);
        const run = async (): Promise<number[]> => {
          await client.ready();
          return repeat(PAGES, ask);
        };
        lanes.push({ name: `page 1 of ${size} records`, run });
      }
      const samples = await interleave(lanes, rounds, (round) => {
        rig.progress(`the history of kills, round ${round} of ${rounds}`);
      });
      const [few, many] = lanes.map((lane) =>
        results.lane('i', name, lane.name, samples.get(lane.name) ?? []),
      );
      const ratio = (many ?? NaN) / (few ?? NaN);
      results.figure('i', name, 'page 1 of a million / of 10,000', ratio, { atMost: 1.1 });
    },
  );
}

/** Writes the records of kills in the past, each of one session, as the service writes them. */
function writeAudit(path: string, records: number): void {
  const file = openSync(path, 'wx');
  const begin = Date.now() - HALF_A_DAY_MS;
  const step = HALF_A_DAY_MS / records;
  for (let first = 0; first < records; first += CHUNK) {
    const lines = Array.from({ length: CHUNK }, (_, at) =>
      kill(first + at, begin + step * (first + at)),
    );
    writeSync(file, lines.join(''));
  }
  closeSync(file);
}

function kill(id: number, time: number): string {
  const request = {
    time: new Date(time).toISOString(),
    request_id: randomUUID().replaceAll('-', ''),
    trace_id: randomUUID().replaceAll('-', ''),
  };
  const place = {
    project_id: PROJECT,
    instance_id: instanceId(0),
    node_id: nodeId(0),
    scope: 'session',
  };
  const session = {
    id,
    user: 'app',
    host: '10.0.0.4:51234',
    db: 'shop',
    command: 'Sleep',
    time: 30,
    state: '',
  };
  const intent = { caller: 'bench', proof: 'token', address: '127.0.0.1', sessions: [session] };
  const outcome = { sessions: [{ id, outcome: 'killed' }] };
  return [
    { record: 'intent', ...request, ...place, ...intent },
    { record: 'outcome', ...request, ...place, ...outcome },
  ]
    .map((record) => `${JSON.stringify(record)}\n`)
    .join('');
}
