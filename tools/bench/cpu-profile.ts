/** What Node writes with --cpu-prof, as far as it is used here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  /** In microseconds of the machine's clock that only goes forwards. */
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface Share {
  readonly name: string;
  /** Of all time in which the process was not idle. */
  readonly percent: number;
}

/** Where the processor's time went: by function, without those that it called, and by package; the largest first. */
export interface Shares {
  readonly functions: readonly Share[];
  readonly packages: readonly Share[];
  readonly busyMs: number;
}

/** Reads a profile between two moments, given in microseconds of the same clock. */
export function sharesOf(profile: CpuProfile, from: number, to: number): Shares {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const functions = new Map<string, number>();
  const packages = new Map<string, number>();
  let busy = 0;
  let now = profile.startTime;
  profile.samples.forEach((sample, index) => {
    const delta = profile.timeDeltas[index] ?? 0;
    now += delta;
    const frame = frames.get(sample);
    if (now < from || now > to || frame === undefined || frame.functionName === '(idle)') return;
    const origin = originOf(frame.functionName, frame.url);
    const place = `${frame.functionName || '(anonymous)'}${placeOf(frame.url, frame.lineNumber)}`;
    const name = `${origin}: ${place}`;
    functions.set(name, (functions.get(name) ?? 0) + delta);
    packages.set(origin, (packages.get(origin) ?? 0) + delta);
    busy += delta;
  });
  return {
    functions: ranked(functions, busy),
    packages: ranked(packages, busy),
    busyMs: busy / 1000,
  };
}

function originOf(functionName: string, url: string): string {
  // As it happens, `(program)` is native code that is no JavaScript function, system calls above all.
  if (url === '') return functionName.startsWith('(') ? functionName : 'built into V8';
  if (url.startsWith('node:')) return 'node';
  const [, name] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? [];
  return name ?? 'ours';
}

function placeOf(url: string, line: number): string {
  if (url === '') return '';
  return ` (${url.replace(/^.*\/(node_modules\/(@[^/]+\/)?[^/]+|dist)\//, '')}:${line + 1})`;
}

function ranked(sums: ReadonlyMap<string, number>, all: number): Share[] {
  return [...sums]
    .map(([name, sum]) => ({ name, percent: (sum / all) * 100 }))
    .sort((a, b) => b.percent - a.percent);
}
