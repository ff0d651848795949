import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
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
function watched(faults: { write?: (text: string) => unknown } = {}) {
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

function writesIn(calls: readonly string[]): string[] {
  return calls.filter((call) => call.startsWith('write'));
}

describe('a file of lines', () => {
  // test/node/audit.test.ts has the system's word for it.
  it('has a line on disk before it says so, since each write is synced', async () => {
    const { calls, openWatched } = watched();
    const file = new LineFile(path, openWatched);
    await file.append('one');
    expect(calls).toEqual(['open as+', 'open r', 'fsync', 'close', 'write 1']);
    expect(written()).toBe('one\n');
    await file.append('two');
    expect(calls.slice(5)).toEqual(['write 1']);
    await file.close();
    expect(written()).toBe('one\ntwo\n');
  });

  it('writes together what comes together, and meanwhile', async () => {
    const { calls, openWatched } = watched();
    const file = new LineFile(path, openWatched);
    const first = [file.append('a'), file.append('b')];
    const later = first.map((line) => line.then(() => file.append('c')));
    await Promise.all([...first, ...later]);
    expect(writesIn(calls)).toEqual(['write 2', 'write 2']);
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

  it('does not trust a file that could not be synced: it is opened anew', async () => {
    let fails = true;
    const { calls, openWatched } = watched({
      write: (text) => {
        if (!fails) return;
        writeFileSync(path, text, { flag: 'a' });
        throw Object.assign(new Error('I/O error'), { code: 'EIO' });
      },
    });
    const file = new LineFile(path, openWatched);
    await expect(file.append('one')).rejects.toMatchObject({ code: 'EIO' });
    fails = false;
    await file.append('two');
    expect(calls.filter((call) => call === 'open as+')).toHaveLength(2);
    await file.close();
    expect(written()).toBe('one\ntwo\n');
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
    const { openWatched } = watched({ write: () => stuck });
    const file = new LineFile(path, openWatched);
    const line = 'x'.repeat(1024 * 1024);
    const taken = Array.from({ length: 16 }, () => file.append(line));
    await expect(file.append('one more')).rejects.toThrow('The disk is too slow');
    release();
    await Promise.all(taken);
    await file.append('fits again');
    await file.close();
  });

  describe('a line that has time', () => {
    const soon = { hasTime: true };
    beforeEach(() => {
      jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'performance'] });
    });
    afterEach(() => {
      jest.useRealTimers();
    });

    /** A file of two lines, which for a second needs nothing but a write for the next. */
    async function inUse(write?: (text: string) => unknown) {
      const { calls, openWatched } = watched({ write: (text) => write?.(text) });
      const file = new LineFile(path, openWatched);
      await file.append('1');
      await file.append('2');
      calls.length = 0;
      return { calls, file };
    }

    it('goes to the disk with the next that has none, in its place', async () => {
      const { calls, openWatched } = watched();
      const file = new LineFile(path, openWatched);
      const lines = [file.append('a', soon), file.append('b', soon), file.append('c')];
      await Promise.all(lines);
      expect(writesIn(calls)).toEqual(['write 3']);
      expect(written()).toBe('a\nb\nc\n');
      expect(jest.getTimerCount()).toBe(0);
      await file.close();
    });

    it('goes by itself 10 ms after it came, together with those that came meanwhile', async () => {
      const { calls, file } = await inUse();
      const one = file.append('one', soon);
      jest.advanceTimersByTime(6);
      const two = file.append('two', soon);
      jest.advanceTimersByTime(3);
      await turn();
      expect(calls).toEqual([]);
      jest.advanceTimersByTime(1);
      await Promise.all([one, two]);
      expect(writesIn(calls)).toEqual(['write 2']);
      await file.close();
    });

    it('does not follow at once on what is being written', async () => {
      let release = (): void => undefined;
      const stuck = new Promise<void>((resolve) => (release = resolve));
      const { calls, file } = await inUse((text) => (text === 'urgent\n' ? stuck : undefined));
      const urgent = file.append('urgent');
      await turn();
      const later = file.append('later', soon);
      release();
      await urgent;
      await turn();
      expect(writesIn(calls)).toEqual(['write 1']);
      jest.advanceTimersByTime(10);
      await later;
      expect(written()).toBe('1\n2\nurgent\nlater\n');
      await file.close();
    });

    it('is written when the file is closed', async () => {
      const file = new LineFile(path);
      const line = file.append('line', soon);
      await file.close();
      await line;
      expect(written()).toBe('line\n');
    });

    it('still goes to the file that was renamed when it came before that is reopened', async () => {
      const file = new LineFile(path);
      await file.append('one');
      const two = file.append('two', soon);
      renameSync(path, `${path}.1`);
      file.reopen();
      const three = file.append('three', soon);
      jest.advanceTimersByTime(10);
      await Promise.all([two, three]);
      await file.close();
      expect(readFileSync(`${path}.1`, 'utf8')).toBe('one\ntwo\n');
      expect(written()).toBe('three\n');
    });
  });
});
