import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AuditHistory } from '../../src/audit/audit-history.ts';
import { FileHistory } from '../../src/audit/file-history.ts';
import { ReadBudget, type History, type HistoryFilter } from '../../src/domain/kill-history.ts';
import { nodeKey } from '../support/ids.ts';
import { until } from '../support/until.ts';

const { projectId, instanceId, nodeId } = nodeKey;
const BEGIN = Date.parse('2026-11-25T00:00:00Z');
const HOUR = 3_600_000;
/** Only the test of the limit depends on it: a machine can be slow. */
const NO_LIMIT_MS = 3_600_000;

let folder: string;
let path: string;
let history: AuditHistory;
const unreadable: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'session-control-history-'));
  path = join(folder, 'audit.jsonl');
  restart();
  unreadable.length = 0;
});
afterEach(async () => {
  await history.close();
  rmSync(folder, { recursive: true });
});

/** A new process has nothing in memory. */
function restart(): void {
  history = new AuditHistory(path, (file) => unreadable.push(file), { maxReadMs: NO_LIMIT_MS });
}

function intent(id: number, time = BEGIN + id, more: object = {}): string {
  return line('intent', id, time, {
    caller: 'ops',
    reason: 'x'.repeat(100),
    sessions: [{ id, user: 'app', host: '10.0.0.4:51234' }],
    ...more,
  });
}

function outcome(id: number, time = BEGIN + id): string {
  return line('outcome', id, time, { sessions: [{ id, outcome: 'killed' }] });
}

function line(record: string, id: number, time: number, more: object): string {
  const node = { project_id: projectId, instance_id: instanceId, node_id: nodeId };
  const begin = { record, time: new Date(time).toISOString(), request_id: `r${id}` };
  return `${JSON.stringify({ ...begin, ...node, ...more })}\n`;
}

/** The records of `count` kills from `first` on, a millisecond apart. */
function kills(first: number, count: number): string {
  const ids = Array.from({ length: count }, (_, index) => first + index);
  return ids.map((id) => intent(id) + outcome(id)).join('');
}

function write(name: string, content: string | Buffer, hour: number): void {
  writeFileSync(join(folder, name), content);
  utimesSync(join(folder, name), BEGIN / 1000 + hour, BEGIN / 1000 + hour);
}

function read(more: Partial<HistoryFilter> = {}): Promise<History> {
  return history.read(
    { projectId, instanceId, from: 0, until: Infinity, ...more },
    performance.now() + 60_000,
  );
}

async function outcomes(more: Partial<HistoryFilter> = {}): Promise<Record<string, string>> {
  const { kills: found } = await read(more);
  return Object.fromEntries(found.map(({ id, outcome: what }) => [id.toString(), what]));
}

const allKilled = (first: number, count: number): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [(first + index).toString(), 'killed']),
  );

/** Waits until the index is beside the files, and returns its name. */
async function indexFile(): Promise<string> {
  await until('the index is saved', () => existsSync(`${path}.index`));
  return `${path}.index`;
}

describe('the history of kills', () => {
  it('is read from the file, its rotated and its compressed files', async () => {
    write('audit.jsonl-20261101.gz', gzipSync(kills(1, 300)), 1);
    write('audit.jsonl-20261102', kills(301, 300), 2);
    write('audit.jsonl.1', kills(601, 10), 3);
    write('audit.jsonl', kills(611, 300), 4);
    write('audit.json', kills(9001, 1), 4);
    write('other.jsonl-20261102', kills(9002, 1), 4);
    const { kills: found, readFrom } = await read();
    expect(found.map(({ id }) => Number(id))).toEqual(
      Array.from({ length: 910 }, (_, index) => 910 - index),
    );
    expect(new Set(found.map(({ outcome: what }) => what))).toEqual(new Set(['killed']));
    expect(readFrom).toBeUndefined();
  });

  it('has each kill once while a file is next to its complete or incomplete compressed copy', async () => {
    const copy = gzipSync(kills(1, 300));
    write('audit.jsonl-20261102', kills(1, 300), 2);
    write('audit.jsonl-20261102.gz', copy.subarray(0, copy.length / 2), 2);
    expect(await outcomes()).toEqual(allKilled(1, 300));
    write('audit.jsonl-20261102.gz', copy, 2);
    expect(await outcomes()).toEqual(allKilled(1, 300));
    rmSync(`${path}-20261102`);
    expect(await outcomes()).toEqual(allKilled(1, 300));
    expect(unreadable).toEqual([]);
  });

  it('has the outcome of a kill that a rotation or an outage of the disk has put into another file', async () => {
    write('audit.jsonl-20261101.gz', gzipSync(kills(1, 2000) + intent(2001)), 1);
    write('audit.jsonl', outcome(2001) + kills(2002, 2000) + intent(4002), 2);
    expect(await outcomes({ from: BEGIN + 2000, until: BEGIN + 2003 })).toEqual(allKilled(2000, 3));
    appendFileSync(path, kills(5000, 1000) + outcome(4002));
    expect(await outcomes({ from: BEGIN + 4002, until: BEGIN + 4003 })).toEqual(allKilled(4002, 1));
  });

  it('ignores torn lines and lines of other kinds, and reads records of other versions', async () => {
    const old = line('intent', 2, BEGIN + 2, { sessions: [{ id: 2 }] });
    const reordered = `{"sessions":[{"id":3,"user":"app"}],"request_id":"r3","project_id":"${projectId}","instance_id":"${instanceId}","node_id":"${nodeId}","time":"${new Date(BEGIN).toISOString()}","record":"intent"}\n`;
    const noTime = line('intent', 4, 0, { time: 'T', sessions: [{ id: 4 }] });
    const noSessions = line('intent', 5, BEGIN, {});
    const oddSessions = line('intent', 6, BEGIN, { sessions: [null, 'x', { id: '6' }, { id: 7 }] });
    const torn = intent(8).slice(0, 60);
    writeFileSync(
      path,
      `{"record":"started","time":"T","pid":1}\n${intent(1)}${torn}\n${old}${reordered}\u0000\n[]\n{}\n${noTime}${noSessions}${oddSessions}${intent(9).trimEnd()}`,
    );
    const { kills: found } = await read();
    expect(found.map(({ id }) => Number(id)).sort()).toEqual([1, 2, 3, 7, 9]);
    expect(found.find(({ id }) => id === 2n)).toMatchObject({
      ...{ user: '', host: '', db: '', command: '', time: 0n, state: '', info: '' },
      ...{ outcome: 'unknown', scope: 'session', caller: '', reason: undefined },
    });
  });

  it('has exact ids beyond those of a double', async () => {
    writeFileSync(path, intent(1).replace('"id":1,', '"id":18446744073709551615,'));
    const { kills: found } = await read();
    expect(found.map(({ id }) => id)).toEqual([18_446_744_073_709_551_615n]);
  });

  it('grows with its file', async () => {
    const all: Record<string, string> = {};
    for (let round = 0; round < 20; round += 1) {
      appendFileSync(path, kills(100 * round, 99) + intent(100 * round + 99));
      Object.assign(all, allKilled(100 * round, 100), { [100 * round + 99]: 'unknown' });
      expect(await outcomes()).toEqual(all);
      // The second half of a line comes later.
      const late = outcome(100 * round + 99);
      appendFileSync(path, late.slice(0, 50));
      expect(await outcomes()).toEqual(all);
      appendFileSync(path, late.slice(50));
      all[100 * round + 99] = 'killed';
      expect(await outcomes()).toEqual(all);
    }
  });

  it('is right after its file was truncated, replaced or removed', async () => {
    writeFileSync(path, kills(1, 1000));
    expect(await outcomes()).toEqual(allKilled(1, 1000));
    truncateSync(path, kills(1, 400).length);
    expect(await outcomes()).toEqual(allKilled(1, 400));
    appendFileSync(path, kills(2000, 900));
    expect(await outcomes()).toEqual({ ...allKilled(1, 400), ...allKilled(2000, 900) });
    truncateSync(path, kills(1, 300).length);
    // Now the file is longer than before, and begins in the same way.
    appendFileSync(path, kills(4000, 2000));
    expect(await outcomes()).toEqual({ ...allKilled(1, 300), ...allKilled(4000, 2000) });
    writeFileSync(path, kills(9000, 3000));
    expect(await outcomes()).toEqual(allKilled(9000, 3000));
    rmSync(path);
    expect(await outcomes()).toEqual({});
    writeFileSync(path, '');
    expect(await outcomes()).toEqual({});
  });

  it('has every kill while its file is rotated and compressed again and again', async () => {
    const progress = { isOver: false };
    let [written, rotations] = [0, 0];
    const rotate = async (): Promise<void> => {
      for (; rotations < 30; rotations += 1) {
        appendFileSync(path, kills(1000 * rotations, 200));
        written += 200;
        await new Promise((resolve) => setImmediate(resolve));
        const name = `${path}-${1000 + rotations}`;
        renameSync(path, name);
        await new Promise((resolve) => setImmediate(resolve));
        writeFileSync(`${name}.gz`, gzipSync(readFileSync(name)));
        rmSync(name);
      }
      progress.isOver = true;
    };
    const rotating = rotate();
    while (!progress.isOver) {
      const before = written;
      const { kills: found } = await read();
      expect(found.length).toBeGreaterThanOrEqual(before);
    }
    await rotating;
    expect((await read()).kills).toHaveLength(written);
  });

  it('is incomplete if a file cannot be read, and has the kills of the other files', async () => {
    const damaged = gzipSync(kills(1, 3000), { level: 1 });
    write('audit.jsonl-20261101.gz', damaged.subarray(0, damaged.length / 2), 1);
    write('audit.jsonl', kills(4000, 10), 2);
    for (let time = 0; time < 2; time += 1) {
      const { kills: found, readFrom } = await read();
      expect(found.length).toBeGreaterThan(300);
      expect(found.length).toBeLessThan(3010);
      expect(readFrom).toBe(-Infinity);
    }
    expect(unreadable).toEqual([`${path}-20261101.gz`]);
  });

  it('is right although the clock was set back', async () => {
    const lines = [5, 6, 7, 1, 2, 3].map((hour) => intent(hour, BEGIN + hour * HOUR)).join('');
    writeFileSync(path, lines);
    expect(
      Object.keys(await outcomes({ from: BEGIN + 2 * HOUR, until: BEGIN + 6 * HOUR })),
    ).toEqual(['2', '3', '5']);
  });

  it('ends a read that takes too long, and the next read continues', async () => {
    writeFileSync(path, kills(1, 1000));
    history = new AuditHistory(path, () => undefined, { maxReadMs: 0 });
    const found = new Set<number>();
    let end = BEGIN + 2000;
    let reads = 0;
    for (let isComplete = false; !isComplete; reads += 1) {
      const { kills: some, readFrom } = await read({ until: end });
      for (const { id } of some) found.add(Number(id));
      isComplete = readFrom === undefined;
      // Until the index is complete, a read can end without any kill.
      end = some.length > 0 ? Math.min(...some.map(({ killTime }) => killTime)) + 1 : end;
    }
    expect(reads).toBeGreaterThan(1);
    expect(found.size).toBe(1000);
  });

  it('needs no index of lines that are older than those it reads', async () => {
    write('audit.jsonl', kills(1, 25_000), 1);
    const files = new FileHistory(path, () => undefined);
    const filter = { projectId, instanceId, from: BEGIN, until: Infinity };
    const part = await files.read(filter, new ReadBudget(1, NO_LIMIT_MS));
    expect(part.kills.every(({ outcome: what }) => what === 'killed')).toBe(true);
    expect(part.kills.map(({ id }) => id)).toContain(25_000n);
    expect([part.readFrom > BEGIN, await files.completeIndex(0)]).toEqual([true, false]);
  });

  it('has at most eight waiting reads', async () => {
    writeFileSync(path, kills(1, 10));
    const reads = await Promise.allSettled(Array.from({ length: 12 }, () => read()));
    const refused = reads.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(4);
    expect(refused[0]).toMatchObject({ reason: { code: 'overloaded' } });
  });
});

describe('the index of the history', () => {
  it('is kept beside the files, and does not count as a file of the audit', async () => {
    writeFileSync(path, kills(1, 2000));
    await read();
    await indexFile();
    expect(readdirSync(folder).sort()).toEqual(['audit.jsonl', 'audit.jsonl.index']);
    restart();
    expect(await outcomes()).toEqual(allKilled(1, 2000));
  });

  it.each<[string, (index: string) => void]>([
    [
      'missing',
      (index) => {
        rmSync(index);
      },
    ],
    [
      'empty',
      (index) => {
        truncateSync(index);
      },
    ],
    [
      'cut',
      (index) => {
        truncateSync(index, 1000);
      },
    ],
    [
      'of another kind',
      (index) => {
        writeFileSync(index, 'null\n');
      },
    ],
    [
      'damaged',
      (index) => {
        writeFileSync(index, readFileSync(index, 'utf8').replace(/"at":\d/, '"at":9'));
      },
    ],
  ])('is built again if it is %s', async (_what, spoil) => {
    writeFileSync(path, kills(1, 2000));
    await read();
    spoil(await indexFile());
    restart();
    expect(await outcomes()).toEqual(allKilled(1, 2000));
  });

  it('is corrected if it is stale', async () => {
    writeFileSync(path, kills(1, 2000));
    await read();
    await indexFile();
    renameSync(path, `${path}-20261101`);
    appendFileSync(`${path}-20261101`, kills(3000, 10));
    writeFileSync(path, kills(4000, 2000));
    restart();
    expect(await outcomes()).toEqual({
      ...allKilled(1, 2000),
      ...allKilled(3000, 10),
      ...allKilled(4000, 2000),
    });
  });

  it('is optional: a read-only folder has the same history', async () => {
    writeFileSync(path, kills(1, 100));
    chmodSync(folder, 0o500);
    expect(await outcomes()).toEqual(allKilled(1, 100));
    chmodSync(folder, 0o700);
  });
});
