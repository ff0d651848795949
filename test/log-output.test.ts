import { describe, expect, it } from '@jest/globals';
import { setImmediate as turn } from 'node:timers/promises';
import { LogOutput, type WriteTo } from '../src/logging/log-output.ts';
import { until } from './support/until.ts';

const MIB = 1024 * 1024;

/** Returns an output: each write takes the next fault from the list, then every write succeeds. */
function outputThat(...faults: ((bytes: Buffer) => number | Error | Promise<number>)[]) {
  let written = '';
  const write: WriteTo = async (_fd, bytes, offset) => {
    const rest = bytes.subarray(offset);
    const taken = await (faults.shift()?.(rest) ?? rest.length);
    if (taken instanceof Error) throw taken;
    written += rest.subarray(0, taken).toString();
    return { bytesWritten: taken };
  };
  return { output: new LogOutput(1, write), written: () => written };
}

const fails = (code: string) => () => Object.assign(new Error(code), { code });

describe('the output of the log', () => {
  it('writes whole lines in order, even if each write takes only a few bytes', async () => {
    const { output, written } = outputThat(
      () => 1,
      () => 3,
    );
    output.add('one\n');
    output.add('two\n');
    await until('they are written', () => written() === 'one\ntwo\n');
    expect(output.lost).toBe(0);
  });

  it('writes lines that come shortly after each other together', async () => {
    const writes: string[] = [];
    const output = new LogOutput(1, (_fd, bytes) => {
      writes.push(bytes.toString());
      return Promise.resolve({ bytesWritten: bytes.length });
    });
    output.add('one\n');
    await turn();
    output.add('two\n');
    await until('they are written', () => writes.length > 0);
    expect(writes).toEqual(['one\ntwo\n']);
  });

  it('keeps at most 4 MiB while nobody reads it, and counts the lines that it drops', () => {
    const { output } = outputThat(() => new Promise(() => undefined));
    for (let n = 0; n < 10; n += 1) output.add('x'.repeat(MIB));
    expect(output.lost).toBe(6);
    for (let n = 0; n < 10; n += 1) output.add('x'.repeat(MIB));
    expect(output.lost).toBe(16);
  });

  it('accepts lines again once a reader resumes', async () => {
    let resume: ((taken: number) => void) | undefined;
    const { output, written } = outputThat(() => new Promise((resolve) => (resume = resolve)));
    for (let n = 0; n < 5; n += 1) output.add(`${'x'.repeat(MIB - 1)}\n`);
    await until('it is being written', () => resume !== undefined);
    resume?.(0);
    await until('all is written', () => written().length === 4 * MIB);
    output.add('next\n');
    await until('the next is written', () => written().endsWith('next\n'));
    expect(output.lost).toBe(1);
  });

  it('waits while its pipe is full, and loses no line', async () => {
    const { output, written } = outputThat(fails('EAGAIN'), fails('EAGAIN'));
    output.add('one\n');
    await until('it is written', () => written() === 'one\n');
    expect(output.lost).toBe(0);
  });

  it('reports the number of lost lines once it can write again, on a new line', async () => {
    const { output, written } = outputThat(() => 2, fails('ENOSPC'), fails('EPIPE'));
    output.onRecovered = (lost) => {
      output.add(`lost ${lost}\n`);
    };
    output.add('torn\n');
    await until('it is lost', () => output.lost === 1);
    output.add('gone\n');
    await until('it is lost', () => output.lost === 2);
    output.add('kept\n');
    await until('it is reported', () => written() === 'to\nkept\nlost 2\n');
    output.add('more\n');
    await until('it is written', () => written() === 'to\nkept\nlost 2\nmore\n');
    expect(output.lost).toBe(2);
  });
});
