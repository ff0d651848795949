import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { verify } from '../../src/audit/records.ts';
import { PROGRAM } from '../support/built-package.ts';

function record(kind: string, request: string, ...ids: string[]): string {
  const sessions = ids.map((id) => `{"id":${id}}`).join(',');
  return `{"record":"${kind}","time":"T","request_id":"${request}","node_id":"n","sessions":[${sessions}]}`;
}

async function* each(lines: readonly string[]): AsyncIterable<string> {
  for (const line of lines) yield await Promise.resolve(line);
}

const NO_FAULT = { torn: [], withoutOutcome: [], withoutIntent: [] };

describe('an audit file', () => {
  it('has no fault if every intent has its outcome', async () => {
    const lines = [
      '{"record":"started","time":"T","pid":1}',
      record('intent', 'a', '1', '2'),
      record('intent', 'b', '1'),
      record('outcome', 'b', '1'),
      record('outcome', 'a', '1', '2'),
    ];
    expect(await verify(each(lines))).toEqual({
      ...NO_FAULT,
      records: { started: 1, intent: 2, outcome: 2 },
    });
  });

  it('with a missing outcome has the session reported with its exact id', async () => {
    const lines = [record('intent', 'a', '1', '9007199254740993'), record('outcome', 'a', '1')];
    expect((await verify(each(lines))).withoutOutcome).toEqual([
      { requestId: 'a', nodeId: 'n', time: 'T', ids: [9_007_199_254_740_993n] },
    ]);
  });

  it('may hold two intents of a request that also ends its own old connection', async () => {
    const lines = [
      record('intent', 'a', '1'),
      record('intent', 'a', '77'),
      record('outcome', 'a', '77'),
      record('outcome', 'a', '1'),
    ];
    expect(await verify(each(lines))).toMatchObject(NO_FAULT);
  });

  it('has its torn lines reported, and the other lines checked', async () => {
    const lines = [record('intent', 'a', '1'), '{"record":"outc', record('outcome', 'a', '1'), '{'];
    expect(await verify(each(lines))).toMatchObject({ ...NO_FAULT, torn: [2, 4] });
  });

  it('has an outcome reported that has no intent before it', async () => {
    const lines = [record('outcome', 'a', '1'), record('intent', 'a', '1')];
    expect(await verify(each(lines))).toMatchObject({ withoutIntent: [{ line: 1, id: 1n }] });
  });
});

describe('session-control audit', () => {
  const run = async (...args: string[]): Promise<[number, string]> => {
    const child = spawn(process.execPath, [...PROGRAM, 'audit', ...args]);
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (printed += text));
    }
    const [code] = (await once(child, 'close')) as [number];
    return [code, printed];
  };
  const folder = mkdtempSync(join(tmpdir(), 'session-control-verify-'));
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it('reports that a file has no fault', async () => {
    const file = join(folder, 'whole.jsonl');
    writeFileSync(file, `${record('intent', 'a', '1')}\n${record('outcome', 'a', '1')}\n`);
    expect(await run('verify', file)).toEqual([
      0,
      'Records: 1 intent, 1 outcome.\nEvery intent has its outcome, and no line is torn.\n',
    ]);
  });

  it('reports the faults that a crash left behind, and exits with 1', async () => {
    const file = join(folder, 'crashed.jsonl');
    writeFileSync(file, `${record('intent', 'a', '7', '8')}\n{"record":"outc`);
    expect(await run('verify', file)).toEqual([
      1,
      'Records: 1 intent.\nLine 2 is torn.\nWithout an outcome: request a of T on node n, sessions 7, 8.\n',
    ]);
  });

  it('reads several files as one, and names the file of each fault', async () => {
    const [old, next] = [join(folder, 'a.1'), join(folder, 'a')];
    writeFileSync(old, `${record('intent', 'a', '7')}\n`);
    writeFileSync(next, `${record('outcome', 'a', '7')}\n`);
    expect((await run('verify', old))[0]).toBe(1);
    expect(await run('verify', old, next)).toEqual([
      0,
      'Records: 1 intent, 1 outcome.\nEvery intent has its outcome, and no line is torn.\n',
    ]);
    writeFileSync(next, `${record('outcome', 'a', '7')}\n${record('outcome', 'a', '9')}\n{"re`);
    expect(await run('verify', old, next)).toEqual([
      1,
      `Records: 1 intent, 2 outcome.\nLine 3 of ${next} is torn.\nLine 2 of ${next}: an outcome of session 9, but no intent.\n`,
    ]);
    const [code, printed] = await run('verify', old, join(folder, 'none'));
    expect([code, printed]).toEqual([66, expect.stringContaining('none cannot be read: ENOENT')]);
  });

  describe('on files that logrotate compressed', () => {
    const old = join(folder, 'audit.jsonl-20261101.gz');
    const next = join(folder, 'audit.jsonl');

    it('decompresses each file, whatever its name is', async () => {
      writeFileSync(next, `${record('outcome', 'a', '7')}\n`);
      for (const name of [old, join(folder, 'renamed')]) {
        writeFileSync(name, gzipSync(`${record('intent', 'a', '7')}\n`));
        expect(await run('verify', name, next)).toEqual([
          0,
          'Records: 1 intent, 1 outcome.\nEvery intent has its outcome, and no line is torn.\n',
        ]);
      }
    });

    it('reads a plain file named .gz, an empty file and joined gzip files', async () => {
      writeFileSync(old, `${record('intent', 'a', '7')}\n`);
      writeFileSync(next, '');
      const joined = join(folder, 'joined.gz');
      const members = [`${record('intent', 'b', '1')}\n`, `${record('outcome', 'b', '1')}\n`];
      writeFileSync(joined, Buffer.concat(members.map((member) => gzipSync(member))));
      const [code, printed] = await run('verify', old, next, joined);
      expect([code, printed]).toEqual([
        1,
        expect.stringContaining('Records: 2 intent, 1 outcome.'),
      ]);
    });

    it('reports a file that is cut short, and exits with 66', async () => {
      const whole = gzipSync(`${record('intent', 'a', '7')}\n`.repeat(1000));
      writeFileSync(old, whole.subarray(0, whole.length - 20));
      const [code, printed] = await run('verify', old);
      expect([code, printed]).toEqual([
        66,
        `session-control: ${old} cannot be read: unexpected end of file\n`,
      ]);
    });

    it.each([
      ['xz', 'fd377a585a000004'],
      ['bzip2', '425a683931415926'],
      ['zstd', '28b52ffd045885'],
      ['lz4', '04224d1864'],
      ['lzip', '4c5a495001'],
      ['compress', '1f9d907b'],
      ['zip', '504b03041400'],
    ])('names the format %s, which it cannot read, and exits with 66', async (format, hex) => {
      writeFileSync(old, Buffer.concat([Buffer.from(hex, 'hex'), Buffer.from('\n\n')]));
      writeFileSync(next, `${record('intent', 'a', '7')}\n`);
      expect(await run('verify', next, old)).toEqual([
        66,
        `session-control: ${old} cannot be read: it is compressed with ${format}, decompress it first or use gzip\n`,
      ]);
    });

    it('reads a file that the gzip program compressed', async () => {
      writeFileSync(next, `${record('intent', 'a', '7')}\n${record('outcome', 'a', '7')}\n`);
      const program = spawnSync('gzip', ['--keep', '--force', next]);
      expect(program.status).toBe(0);
      expect((await run('verify', `${next}.gz`))[0]).toBe(0);
    });
  });

  it('prints its usage, and reports a file that cannot be read', async () => {
    const usage =
      "session-control: 'audit' needs the word verify and at least one file. See `session-control --help`.\n";
    expect(await run()).toEqual([64, usage]);
    const [code, printed] = await run('verify', join(folder, 'none'));
    expect([code, printed]).toEqual([66, expect.stringContaining('none cannot be read: ENOENT')]);
  });
});
