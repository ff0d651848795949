/** What Node writes with --cpu-prof, as far as it is used here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: Frame;
    readonly children?: readonly number[];
  }[];
  /** In microseconds of the machine's clock that only goes forwards. */
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

export interface Share {
  readonly name: string;
  /** Of all time in which the process was not idle. */
  readonly percent: number;
}

/** Where the processor's time went, the largest share first. */
export interface Shares {
  /** By function, without those that it called. */
  readonly functions: readonly Share[];
  /** By package, without those that it called. */
  readonly packages: readonly Share[];
  /** By who used the time: what Node, V8 and lodash did counts for the package that called them, or for the file if it is ours. */
  readonly users: readonly Share[];
  readonly busyMs: number;
}

/** Reads a profile between two moments, given in microseconds of the same clock. */
export function sharesOf(profile: CpuProfile, from: number, to: number): Shares {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const functions = new Map<string, number>();
  const packages = new Map<string, number>();
  const users = new Map<string, number>();
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
  );
  const userOf = (id: number): string => {
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const user = frameUser(frames.get(at));
      if (user !== undefined) return user;
    }
    return 'node, called by nobody';
  };
  let busy = 0;
  let now = profile.startTime;
  profile.samples.forEach((sample, index) => {
    const delta = profile.timeDeltas[index] ?? 0;
    now += delta;
    const frame = frames.get(sample);
    if (now < from || now > to || frame === undefined || frame.functionName === '(idle)') return;
    const origin = originOf(frame);
    const called = (frame.functionName || '(anonymous)').slice(0, 80);
    add(functions, `${origin}: ${called}${placeOf(frame)}`, delta);
    add(packages, origin, delta);
    add(users, userOf(sample), delta);
    busy += delta;
  });
  return {
    functions: ranked(functions, busy),
    packages: ranked(packages, busy),
    users: ranked(users, busy),
    busyMs: busy / 1000,
  };
}

function originOf({ functionName, url }: Frame): string {
  // `(program)` is native code below no JavaScript.
  if (url === '') return functionName.startsWith('(') ? functionName : 'built into V8';
  if (url.startsWith('node:')) return 'node';
  const [, name] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? [];
  return name ?? 'ours';
}

function frameUser(frame: Frame | undefined): string | undefined {
  if (frame === undefined || frame.functionName === '(root)') return undefined;
  const origin = originOf(frame);
  if (['built into V8', 'node', 'lodash'].includes(origin)) return undefined;
  return origin === 'ours' ? `ours: ${fileOf(frame.url)}` : origin;
}

function placeOf({ url, lineNumber }: Frame): string {
  return url === '' ? '' : ` (${fileOf(url)}:${lineNumber + 1})`;
}

function fileOf(url: string): string {
  return url.replace(/^.*\/(node_modules\/(@[^/]+\/)?[^/]+|dist)\//, '');
}

function add(sums: Map<string, number>, name: string, more: number): void {
  sums.set(name, (sums.get(name) ?? 0) + more);
}

function ranked(sums: ReadonlyMap<string, number>, all: number): Share[] {
  return [...sums]
    .map(([name, sum]) => ({ name, percent: (sum / all) * 100 }))
    .sort((a, b) => b.percent - a.percent);
}
