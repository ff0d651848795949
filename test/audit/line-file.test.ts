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

/** Opens real files, records each call, and can make a write fail. */
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
  // test/node/audit.test.ts checks the same by the system calls.
  it('resolves an append after the line is synced to disk', async () => {
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

  it('writes concurrent lines together, also those that arrive during a write', async () => {
    const { calls, openWatched } = watched();
    const file = new LineFile(path, openWatched);
    const first = [file.append('a'), file.append('b')];
    const later = first.map((line) => line.then(() => file.append('c')));
    await Promise.all([...first, ...later]);
    expect(writesIn(calls)).toEqual(['write 2', 'write 2']);
    expect(written()).toBe('a\nb\nc\nc\n');
    await file.close();
  });

  it('starts a new line after a line that a crash cut short', async () => {
    writeFileSync(path, 'whole\n{"half');
    const file = new LineFile(path);
    await file.append('next');
    await file.close();
    expect(written()).toBe('whole\n{"half\nnext\n');
  });

  it('starts a new line after a line that a full disk cut short, and rejects only that line', async () => {
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

  it('is opened again after a sync that failed', async () => {
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

  it('rejects a line on a full device', async () => {
    await expect(new LineFile('/dev/full').append('one')).rejects.toMatchObject({ code: 'ENOSPC' });
  });

  it('rejects a line in a folder that does not exist, and works in one that does', async () => {
    const file = new LineFile(join(folder, 'later', 'audit.jsonl'));
    await expect(file.append('one')).rejects.toMatchObject({ code: 'ENOENT' });
    await open(path, 'a').then((handle) => handle.close());
    const here = new LineFile(path);
    await here.append('two');
    await here.close();
    expect(written()).toBe('two\n');
  });

  it('is written under its new name after a rename until it is reopened, without loss', async () => {
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

  it('is created again if another program removes it', async () => {
    const file = new LineFile(path);
    await file.append('one');
    rmSync(path);
    await file.append('two');
    await file.close();
    expect(written()).toBe('two\n');
  });

  it('loses no line that arrives during its close', async () => {
    const file = new LineFile(path);
    await file.append('one');
    const closed = file.close();
    await file.append('two');
    await closed;
    await file.close();
    expect(written()).toBe('one\ntwo\n');
  });

  it('queues at most 16 MiB for a slow disk', async () => {
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

  describe('a line that can wait for the next write', () => {
    const soon = { hasTime: true };
    beforeEach(() => {
      jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'performance'] });
    });
    afterEach(() => {
      jest.useRealTimers();
    });

    /** Returns a file with two lines that is open and checked, so that the next line needs only a write. */
    async function inUse(write?: (text: string) => unknown) {
      const { calls, openWatched } = watched({ write: (text) => write?.(text) });
      const file = new LineFile(path, openWatched);
      await file.append('1');
      await file.append('2');
      calls.length = 0;
      return { calls, file };
    }

    it('is written with the next urgent line, in order', async () => {
      const { calls, openWatched } = watched();
      const file = new LineFile(path, openWatched);
      const lines = [file.append('a', soon), file.append('b', soon), file.append('c')];
      await Promise.all(lines);
      expect(writesIn(calls)).toEqual(['write 3']);
      expect(written()).toBe('a\nb\nc\n');
      expect(jest.getTimerCount()).toBe(0);
      await file.close();
    });

    it('is written after 10 ms, together with the lines that arrived meanwhile', async () => {
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

    it('does not start a write as soon as the current write ends', async () => {
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

    it('is written to the renamed file if it arrived before the reopening', async () => {
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
