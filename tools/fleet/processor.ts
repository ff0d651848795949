import { readFileSync } from 'node:fs';

/** Processor time in ticks of the kernel's clock by process; `all` is the sum of all programs. */
type Ticks = ReadonlyMap<string, number>;

const TICKS_PER_SECOND = 100;

/** The number of cores that each process used, and all other programs together. */
export interface Shares {
  readonly cores: Readonly<Record<string, number>>;
  /** The same as text for a report. */
  readonly text: string;
}

/** Starts a measurement. The returned function ends it and returns the shares. */
export function watchProcessors(pids: Readonly<Record<string, number>>): () => Shares {
  const before = ticks(pids);
  const begun = performance.now();
  return () => {
    const seconds = (performance.now() - begun) / 1000;
    const after = ticks(pids);
    const used = (name: string): number =>
      ((after.get(name) ?? 0) - (before.get(name) ?? 0)) / TICKS_PER_SECOND / seconds;
    const ours = Object.keys(pids).map((name) => [name, used(name)] as const);
    const others = used('all') - ours.reduce((sum, [, cores]) => sum + cores, 0);
    const shares = [...ours, ['others', Math.max(0, others)] as const];
    return {
      cores: Object.fromEntries(shares),
      text: shares.map(([name, cores]) => `${name} ${cores.toFixed(2)}`).join(', '),
    };
  };
}

function ticks(pids: Readonly<Record<string, number>>): Ticks {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0] = (
    readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? ''
  )
    .split(/ +/)
    .map(Number);
  const all = user + nice + system + irq + softIrq;
  const ours = Object.entries(pids).map(([name, pid]) => [name, ticksOf(pid)] as const);
  return new Map([...ours, ['all', all]]);
}

function ticksOf(pid: number): number {
  // The fields follow the program's name, which is in brackets and may hold spaces.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
