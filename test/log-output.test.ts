import { describe, expect, it } from '@jest/globals';
import { setImmediate as turn } from 'node:timers/promises';
import { LogOutput, type WriteTo } from '../src/logging/log-output.ts';
import { until } from './support/until.ts';

const MIB = 1024 * 1024;

/** An output of which each write does what comes next in the list, and then all of it. */
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
  it('writes whole lines, in their order, however little is taken at a time', async () => {
    const { output, written } = outputThat(
      () => 1,
      () => 3,
    );
    output.add('one\n');
    output.add('two\n');
    await until('they are written', () => written() === 'one\ntwo\n');
    expect(output.lost).toBe(0);
  });

  it('keeps at most 4 MiB while nobody reads, and counts what is lost beyond', async () => {
    const { output } = outputThat(() => new Promise(() => undefined));
    for (let n = 0; n < 10; n += 1) output.add('x'.repeat(MIB));
    await turn();
    expect(output.lost).toBe(6);
    for (let n = 0; n < 10; n += 1) output.add('x'.repeat(MIB));
    expect(output.lost).toBe(16);
  });

  it('takes lines again when a reader comes back', async () => {
    let resume: ((taken: number) => void) | undefined;
    const { output, written } = outputThat(() => new Promise((resolve) => (resume = resolve)));
    for (let n = 0; n < 5; n += 1) output.add(`${'x'.repeat(MIB - 1)}\n`);
    await turn();
    resume?.(0);
    await until('all is written', () => written().length === 4 * MIB);
    output.add('next\n');
    await until('the next is written', () => written().endsWith('next\n'));
    expect(output.lost).toBe(1);
  });

  it('waits for a pipe that is full, and loses nothing', async () => {
    const { output, written } = outputThat(fails('EAGAIN'), fails('EAGAIN'));
    output.add('one\n');
    await until('it is written', () => written() === 'one\n');
    expect(output.lost).toBe(0);
  });

  it('says how many lines were lost once there is room again, and begins on a line of its own', async () => {
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
