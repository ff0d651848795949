import { setTimeout as sleep } from 'node:timers/promises';
import { answerParent } from './child.ts';
import { HttpConnection } from './http-connection.ts';
import { instanceId, nodeId, PROJECT, TOKENS } from './names.ts';

/** Requests of one kind: at a fixed `rate` (open loop), or from a number of `callers` that wait for responses (closed loop). */
export interface Stream {
  readonly name: string;
  readonly port: number;
  /** The nodes, in turn. */
  readonly nodes: readonly number[];
  /** The id of the session to end. */
  readonly session: number;
  readonly rate?: number;
  readonly callers?: number;
}

/** The streams of a load, and its duration. */
export interface Load {
  readonly seconds: number;
  readonly streams: readonly Stream[];
}

/** The result of a stream. */
export interface Outcome {
  readonly name: string;
  readonly sent: number;
  /** The number of requests that were due while all connections were in use. */
  readonly unsent: number;
  readonly statuses: Readonly<Record<number, number>>;
  /** The number of 200s per second, up to the end of the load. */
  readonly goodput: number;
  /** The time of each 200, from the moment at which the request was due. */
  readonly milliseconds: readonly number[];
}

/** The maximum number of concurrent requests: twice the limit of the service. */
const MAX_CONNECTIONS = 2048;
/** A connection that is idle for longer may be closed by the service while the next request is on its way. */
const MAX_IDLE_MS = 3000;
/** The number of connections that are opened at the same time. */
const OPENED_AT_ONCE = 64;

const connections = new Set<HttpConnection>();
/** The idle connections by port. */
const free = new Map<number, HttpConnection[]>();

/** The functions of the load generator's process. */
export const loadAnswers = {
  /** Closes all connections and opens `count` new ones to the service. */
  async open(port: number, count: number): Promise<void> {
    for (const connection of connections) connection.close();
    connections.clear();
    free.clear();
    // If more connections are opened than the kernel queues, it retries only after 1, 3, 7 and 15 seconds.
    while (freeConnections(port).length < count) {
      const some = Array.from({ length: OPENED_AT_ONCE }, () => newConnection(port));
      await Promise.all(some.map(({ connected }) => connected));
      freeConnections(port).push(...some);
    }
  },
  /** Runs the streams, and resolves to their outcomes after the last response. */
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
    const connection = takeConnection(stream.port);
    if (connection === undefined) {
      unsent += 1;
      return;
    }
    open += 1;
    const text = textOf(stream, sent);
    sent += 1;
    connection.send(text, (status) => {
      const now = performance.now();
      open -= 1;
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (status === 200) milliseconds.push(now - due);
      if (status === 200 && now <= end) good += 1;
      if (connection.isOpen) freeConnections(stream.port).push(connection);
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

function takeConnection(port: number): HttpConnection | undefined {
  const idle = freeConnections(port);
  for (let connection = idle.pop(); connection !== undefined; connection = idle.pop()) {
    if (connection.isOpen && performance.now() - connection.idleSince < MAX_IDLE_MS)
      return connection;
    connection.close();
    connections.delete(connection);
  }
  return connections.size < MAX_CONNECTIONS ? newConnection(port) : undefined;
}

function freeConnections(port: number): HttpConnection[] {
  const some = free.get(port) ?? [];
  free.set(port, some);
  return some;
}

function newConnection(port: number): HttpConnection {
  const connection = new HttpConnection(port, () => {
    connections.delete(connection);
  });
  connections.add(connection);
  return connection;
}

function nothing(): void {
  // In an open loop, a response does not trigger the next request.
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
