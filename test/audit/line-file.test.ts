import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LineFile, type LineFileHandle, type Open } from '../../src/audit/line-file.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'session-control-lines-'));
  path = join(folder, 'audit.jsonl');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const written = (): string => readFileSync(path, 'utf8');

/** Real files whose calls are written down, and can be made to fail. */
function watched(faults: { write?: (text: string) => unknown; datasync?: () => unknown } = {}) {
  const calls: string[] = [];
  const openWatched: Open = async (name, flags, mode) => {
    const handle = await open(name, flags, mode);
    calls.push(`open ${flags}`);
    return {
      stat: () => handle.stat(),
      read: (...args: Parameters<LineFileHandle['read']>) => handle.read(...args),
      sync: () => {
        calls.push('fsync');
        return handle.sync();
      },
      close: () => {
        calls.push('close');
        return handle.close();
      },
      datasync: async () => {
        await faults.datasync?.();
        calls.push('fdatasync');
        await handle.datasync();
      },
      write: async (buffer: Buffer, offset: number) => {
        const text = buffer.subarray(offset).toString();
        calls.push(`write ${text.split('\n').length - 1}`);
        await faults.write?.(text);
        return handle.write(buffer, offset);
      },
    } as unknown as LineFileHandle;
  };
  return { calls, openWatched };
}

describe('a file of lines', () => {
  it('has a line on disk before it says so', async () => {
    const { calls, openWatched } = watched();
    const file = new LineFile(path, openWatched);
    await file.append('one');
    expect(calls).toEqual(['open a+', 'open r', 'fsync', 'close', 'write 1', 'fdatasync']);
    expect(written()).toBe('one\n');
    await file.append('two');
    expect(calls.slice(6)).toEqual(['write 1', 'fdatasync']);
    await file.close();
    expect(written()).toBe('one\ntwo\n');
  });

  it('writes together what comes together, and meanwhile', async () => {
    const { calls, openWatched } = watched();
    const file = new LineFile(path, openWatched);
    const first = [file.append('a'), file.append('b')];
    const later = first.map((line) => line.then(() => file.append('c')));
    await Promise.all([...first, ...later]);
    expect(calls.filter((call) => /write|fdatasync/.test(call))).toEqual([
      'write 2',
      'fdatasync',
      'write 2',
      'fdatasync',
    ]);
    expect(written()).toBe('a\nb\nc\nc\n');
    await file.close();
  });

  it('goes on behind a line that a crash cut short', async () => {
    writeFileSync(path, 'whole\n{"half');
    const file = new LineFile(path);
    await file.append('next');
    await file.close();
    expect(written()).toBe('whole\n{"half\nnext\n');
  });

  it('goes on behind a line that a full disk cut short, and rejects only what was lost', async () => {
    let isFull = true;
    const { openWatched } = watched({
      write: (text) => {
        if (!isFull) return;
        writeFileSync(path, text.slice(0, 3), { flag: 'a' });
        throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
      },
    });
    const file = new LineFile(path, openWatched);
    await expect(file.append('lost-line')).rejects.toMatchObject({ code: 'ENOSPC' });
    isFull = false;
    await file.append('kept');
    await file.close();
    expect(written()).toBe('los\nkept\n');
  });

  it('does not trust a file whose fdatasync failed: it is opened anew', async () => {
    let fails = true;
    const { calls, openWatched } = watched({
      datasync: () => {
        if (fails) throw Object.assign(new Error('I/O error'), { code: 'EIO' });
      },
    });
    const file = new LineFile(path, openWatched);
    await expect(file.append('one')).rejects.toMatchObject({ code: 'EIO' });
    fails = false;
    await file.append('two');
    expect(calls.filter((call) => call === 'open a+')).toHaveLength(2);
    await file.close();
  });

  it('rejects on a device that is full', async () => {
    await expect(new LineFile('/dev/full').append('one')).rejects.toMatchObject({ code: 'ENOSPC' });
  });

  it('rejects where it cannot be made, and works once it can', async () => {
    const file = new LineFile(join(folder, 'later', 'audit.jsonl'));
    await expect(file.append('one')).rejects.toMatchObject({ code: 'ENOENT' });
    await open(path, 'a').then((handle) => handle.close());
    const here = new LineFile(path);
    await here.append('two');
    await here.close();
    expect(written()).toBe('two\n');
  });

  it('after a rename writes to the renamed file until it is reopened, and loses nothing', async () => {
    const file = new LineFile(path);
    await file.append('one');
    renameSync(path, `${path}.1`);
    await file.append('two');
    file.reopen();
    await file.append('three');
    await file.close();
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('one\ntwo\n');
    expect(written()).toBe('three\n');
  });

  it('makes the file anew when somebody removed it', async () => {
    const file = new LineFile(path);
    await file.append('one');
    rmSync(path);
    await file.append('two');
    await file.close();
    expect(written()).toBe('two\n');
  });

  it('loses no line that comes while it is being closed', async () => {
    const file = new LineFile(path);
    await file.append('one');
    const closed = file.close();
    await file.append('two');
    await closed;
    await file.close();
    expect(written()).toBe('one\ntwo\n');
  });

  it('lets only so much wait for the disk', async () => {
    let release = (): void => undefined;
    const stuck = new Promise<void>((resolve) => (release = resolve));
    const { openWatched } = watched({ datasync: () => stuck });
    const file = new LineFile(path, openWatched);
    const line = 'x'.repeat(1024 * 1024);
    const taken = Array.from({ length: 16 }, () => file.append(line));
    await expect(file.append('one more')).rejects.toThrow('The disk is too slow');
    release();
    await Promise.all(taken);
    await file.append('fits again');
    await file.close();
  });
});
