import { setTimeout as sleep } from 'node:timers/promises';
import { answerParent } from './child.ts';
import { Line } from './line.ts';
import { instanceId, nodeId, PROJECT, TOKENS } from './names.ts';

/** Requests of one kind: at a fixed rate whatever comes back (open loop), or so many at a time (closed loop). */
export interface Stream {
  readonly name: string;
  readonly port: number;
  /** Asked one after the other, over and over. */
  readonly nodes: readonly number[];
  /** The session to be ended. */
  readonly session: number;
  readonly rate?: number;
  readonly callers?: number;
}

export interface Load {
  readonly seconds: number;
  readonly streams: readonly Stream[];
}

/** What became of the requests of a stream. */
export interface Outcome {
  readonly name: string;
  readonly sent: number;
  /** Whose turn came while all lines were in use. */
  readonly unsent: number;
  readonly statuses: Readonly<Record<number, number>>;
  /** 200s that came before the end, a second. */
  readonly goodput: number;
  /** For each 200, from the moment when the request was due. */
  readonly milliseconds: readonly number[];
}

/** Requests under way at once: twice of what the service takes. */
const MOST_LINES = 2048;
/** The service closes what was idle for 5 s, maybe just when the next request is on its way. */
const LONGEST_IDLE_MS = 3000;
/** So many are opened before a load begins. */
const OPENED_AT_ONCE = 64;

const lines = new Set<Line>();
/** By port. */
const free = new Map<number, Line[]>();

/** What the process with the load generator can be asked. */
export const loadAnswers = {
  /** Opens so many lines to the service, in place of those there are. */
  async open(port: number, count: number): Promise<void> {
    for (const line of lines) line.close();
    lines.clear();
    free.clear();
    // No more at a time than the system queues: else it tries again after 1, 3, 7 and 15 seconds.
    while (freeLines(port).length < count) {
      const some = Array.from({ length: OPENED_AT_ONCE }, () => newLine(port));
      await Promise.all(some.map(({ connected }) => connected));
      freeLines(port).push(...some);
    }
  },
  /** Returns when the last answer has come. */
  async run({ seconds, streams }: Load): Promise<Outcome[]> {
    return Promise.all(streams.map((stream) => runStream(seconds, stream)));
  },
};

answerParent(loadAnswers);

async function runStream(seconds: number, stream: Stream): Promise<Outcome> {
  const begun = performance.now();
  const end = begun + seconds * 1000;
  const statuses: Record<number, number> = {};
  const milliseconds: number[] = [];
  let [sent, unsent, open, good] = [0, 0, 0, 0];
  const request = (due: number, then: () => void): void => {
    const line = takeLine(stream.port);
    if (line === undefined) {
      unsent += 1;
      return;
    }
    open += 1;
    const text = textOf(stream, sent);
    sent += 1;
    line.send(text, (status) => {
      const now = performance.now();
      open -= 1;
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (status === 200) milliseconds.push(now - due);
      if (status === 200 && now <= end) good += 1;
      if (line.isOpen) freeLines(stream.port).push(line);
      then();
    });
  };
  if (stream.rate === undefined) {
    const next = (): void => {
      const now = performance.now();
      if (now < end) request(now, next);
    };
    for (let caller = 0; caller < (stream.callers ?? 1); caller += 1) next();
    await sleep(seconds * 1000);
  } else {
    const gap = 1000 / stream.rate;
    let due = begun;
    while (due < end) {
      for (; due < Math.min(end, performance.now()); due += gap) request(due, nothing);
      await sleep(1);
    }
  }
  while (open > 0) await sleep(20);
  return { name: stream.name, sent, unsent, statuses, goodput: good / seconds, milliseconds };
}

function takeLine(port: number): Line | undefined {
  const idle = freeLines(port);
  for (let line = idle.pop(); line !== undefined; line = idle.pop()) {
    if (line.isOpen && performance.now() - line.idleSince < LONGEST_IDLE_MS) return line;
    line.close();
    lines.delete(line);
  }
  return lines.size < MOST_LINES ? newLine(port) : undefined;
}

function freeLines(port: number): Line[] {
  const some = free.get(port) ?? [];
  free.set(port, some);
  return some;
}

function newLine(port: number): Line {
  const line = new Line(port, () => {
    lines.delete(line);
  });
  lines.add(line);
  return line;
}

function nothing(): void {
  // Who comes at a fixed rate does not wait for an answer.
}

const texts = new Map<string, string>();

function textOf({ nodes, session }: Stream, turn: number): string {
  const node = nodes[turn % nodes.length] ?? 0;
  const token = TOKENS[turn % TOKENS.length] ?? '';
  const key = `${node} ${session} ${token}`;
  const known = texts.get(key);
  if (known !== undefined) return known;
  const body = `{"processes":[${session}]}`;
  const path = `/v3/${PROJECT}/instances/${instanceId(node)}/nodes/${nodeId(node)}/processes`;
  const text = [
    `DELETE ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    `X-Auth-Token: ${token}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
  texts.set(key, text);
  return text;
}
