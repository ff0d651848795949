/** The fields of a profile of Node's --cpu-prof that are used here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: Frame;
    readonly children?: readonly number[];
  }[];
  /** The start in microseconds of the monotonic clock. */
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

/** A share of the processor time. */
export interface Share {
  readonly name: string;
  /** The percentage of the time in which the process was not idle. */
  readonly percent: number;
}

/** The use of the processor time, the largest share first. */
export interface Shares {
  /** The shares by function, without the functions that it called. */
  readonly functions: readonly Share[];
  /** The shares by package, without the packages that it called. */
  readonly packages: readonly Share[];
  /** The shares by user. Time in Node, V8 and lodash counts for the package that called them, or for the file if it is ours. */
  readonly users: readonly Share[];
  readonly busyMs: number;
}

/** Returns the shares between two moments of a profile, in microseconds of the monotonic clock. */
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
    return 'node, without a caller';
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
  // `(program)` is native code that no JavaScript called.
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
