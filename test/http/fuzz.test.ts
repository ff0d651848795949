import { randomInt } from 'node:crypto';
import { errorMonitor, once, type EventEmitter } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import { connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc, { type Arbitrary } from 'fast-check';
import type { Deadline } from '../../src/domain/deadline.ts';
import type { Capabilities } from '../../src/domain/capabilities.ts';
import type { ControlConnection, Node, Nodes } from '../../src/domain/node.ts';
import type { Language, Sentence } from '../../src/errors.ts';
import { createListener, stopListening } from '../../src/http/listener.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey, processesPath } from '../support/ids.ts';
import { createService, TOKEN } from '../support/service.ts';
import { until } from '../support/until.ts';
import {
  ACCESS_KEY,
  askedIds,
  badBodies,
  badHeaders,
  badMethods,
  badPaths,
  badQueries,
  CHUNKED_BODY,
  CUT_BODIES,
  LISTING_TOKEN,
  MAX_BODY_BYTES,
  MAX_IDS,
  OTHER_NODE,
  OTHER_PROJECT,
  OTHER_TOKEN,
  rawChunkedKill,
  rawKill,
  rawRequests,
  SESSION_IDS,
  validKills,
  type HttpRequest,
  type RawParts,
  type RawRequest,
} from './hostile-requests.ts';

/** The number of concurrent requests. */
const LANES = 20;

const SEED = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31));

/** Texts that no refusal may contain. */
const SECRETS = [
  'db-7.secret.internal',
  'secret-control',
  'secret-password',
  'secret-client',
  'secret-of',
];

/** A node that starts afresh for each connection, and records the connections and KILLs that reach it. */
class CountingNode implements Nodes {
  #connections = 0;
  #kills: bigint[] = [];

  async withConnection<T>(
    target: Node,
    deadline: Deadline,
    work: (connection: ControlConnection) => Promise<T>,
  ): Promise<T> {
    const fresh = new FakeNodes();
    for (const id of SESSION_IDS) fresh.connect({ id: id.toString(), user: 'secret-client' });
    try {
      return await fresh.withConnection(target, deadline, work);
    } finally {
      this.#connections += fresh.connections;
      this.#kills.push(...fresh.kills);
    }
  }

  probe(): Promise<Capabilities> {
    return new FakeNodes().probe();
  }

  /** Returns what has reached the node since the last call. */
  reached(): { readonly connections: number; readonly kills: readonly bigint[] } {
    const reached = { connections: this.#connections, kills: this.#kills };
    this.#connections = 0;
    this.#kills = [];
    return reached;
  }
}

/** An answer with its header names in lower case. */
interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

const secretNode: Node = {
  ...fakeNode,
  host: 'db-7.secret.internal',
  user: 'secret-control',
  password: 'secret-password',
};
const node = new CountingNode();
const { app, events } = createService({
  registry: [secretNode, { ...secretNode, ...OTHER_NODE }],
  nodes: node,
  callers: {
    [LISTING_TOKEN]: {
      user: 'reader',
      projectId: nodeKey.projectId,
      actions: ['gaussdb:instance:listProcesses'],
    },
    [OTHER_TOKEN]: { user: 'stranger', projectId: OTHER_PROJECT, actions: ['*'] },
  },
  accessKeys: [
    {
      access: ACCESS_KEY,
      secret: 'secret-of-the-key',
      user: 'signer',
      projectId: nodeKey.projectId,
      actions: ['*'],
    },
  ],
});
const log = {
  log: (level: string, message: string, fields: object) => events.push({ level, message, fields }),
};
const server = createListener(app, { requestTimeoutMs: 20_000, log });
const agent = new Agent({ keepAlive: true, maxSockets: LANES });
let port = 0;
let malformed = 0;
const requestIds = new Set<unknown>();

beforeAll(async () => {
  await listening(server);
  port = portOf(server);
});

afterAll(async () => {
  agent.destroy();
  await stopListening(server, 1000);
});

async function listening(listener: Server): Promise<void> {
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
}

function portOf(listener: Server): number {
  return (listener.address() as AddressInfo).port;
}

function send({ method, path, headers, body }: HttpRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'Content-Length': body.length };
    const sent = httpRequest({ port, agent, method, path, headers: { ...headers, ...length } });
    sent.once('error', reject);
    sent.once('response', (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.once('error', reject);
      res.once('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: res.statusCode ?? 0, headers: res.headers, text });
      });
    });
    sent.end(Buffer.from(body ?? '', 'latin1'));
  });
}

/** Sends the bytes, closes the side of the client, and waits for all answers. */
async function sendRaw({ bytes }: RawRequest): Promise<readonly Answer[]> {
  const socket = connect({ port, host: '127.0.0.1', timeout: 10_000 });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('timeout', () => socket.destroy(new Error('No answer, and no end.')));
  socket.end(Buffer.from(bytes, 'latin1'));
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (error) => {
      // The server closed before it read everything. Its answers before that count.
      const isReset = 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
      if (!isReset) reject(error);
    });
    socket.once('close', () => {
      resolve();
    });
  });
  return answersIn(Buffer.concat(chunks).toString('latin1'));
}

function answersIn(bytes: string): Answer[] {
  if (bytes === '') return [];
  const parts = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n(.*?)\r\n\r\n(.*)$/s.exec(bytes);
  if (parts === null) throw new Error(`This is no answer: ${JSON.stringify(bytes)}`);
  const [, status, fields = '', rest = ''] = parts;
  const headers = Object.fromEntries(
    fields.split('\r\n').map((field) => {
      const [name = '', value = ''] = field.split(/: (.*)/s);
      return [name.toLowerCase(), value];
    }),
  );
  const length = Number(headers['content-length']);
  const text = Buffer.from(rest.slice(0, length), 'latin1').toString();
  return [{ status: Number(status), headers, text }, ...answersIn(rest.slice(length))];
}

const sentence = (en: string, zh: string): Sentence => ({ 'en-us': en, 'zh-cn': zh });

/** The contract's refusals: the sentence that opens `error_msg`. */
const SENTENCES: Readonly<Record<string, Sentence>> = {
  '400 DBS.200001': sentence('Parameter error.', '参数错误。'),
  '400 DBS.200006': sentence(
    'The request is null. Enter a request parameter.',
    '请求为空，请输入请求参数。',
  ),
  '400 DBS.280404': sentence(
    'Invalid DB instance ID or node ID format.',
    '实例ID或节点ID格式错误。',
  ),
  '400 DBS.280439': sentence(
    'Invalid records. Enter a positive integer no more than 100.',
    '记录数无效，请输入不大于100的正整数。',
  ),
  '401 APIGW.0301': sentence('Incorrect IAM authentication information: ', 'IAM认证信息错误：'),
  '403 DBS.200010': sentence(
    'The DB instance ID or user ID may be null, or the operation is not authorized.',
    '实例ID和用户ID可能为空，或者操作越权。',
  ),
  '403 DBS.200044': sentence(
    'Resource not found or permission denied.',
    '访问资源不存在，或者无访问权限。',
  ),
  '404 DBS.200002': sentence('The DB instance does not exist.', '实例不存在。'),
  '404 DBS.290013': sentence('Resource not found.', '资源不存在。'),
  '404 APIGW.0101': sentence('The API does not exist.', 'API不存在。'),
  '405 APIGW.0101': sentence('The API does not exist.', 'API不存在。'),
  '413 APIGW.0201': sentence('Request entity too large.', '请求体过大。'),
  '414 APIGW.0201': sentence('Request URI too large.', '请求URI过大。'),
  '415 DBS.200001': sentence('Parameter error.', '参数错误。'),
  // Requests that Node's parser refuses.
  '400 APIGW.0201': sentence('API request error.', 'API请求错误。'),
  '431 APIGW.0201': sentence('API request error.', 'API请求错误。'),
};

/** Node's parser refuses these before X-Language is known. */
const PARSER_REFUSALS = ['400 APIGW.0201', '431 APIGW.0201'];

/** Fails unless the answer is one of the allowed refusals (`status error_code`), in exactly the contract's shape. */
function expectRefusal(answer: Answer, allowed: readonly string[], language?: Language): void {
  const body = jsonIn(answer);
  const { error_code: code, error_msg: message } = body;
  const refusal = `${answer.status} ${String(code)}`;
  const isOfGateway = String(code).startsWith('APIGW.');
  const sentences = SENTENCES[refusal] ?? { 'en-us': '', 'zh-cn': '' };
  const languages: readonly Language[] =
    language === undefined || PARSER_REFUSALS.includes(refusal) ? ['en-us', 'zh-cn'] : [language];
  const text = typeof message === 'string' ? message : '';
  expectNoFlaw(answer, {
    'is not an allowed refusal': allowed.includes(refusal),
    'has no error_code': typeof code === 'string',
    'has another error_msg': languages.some((name) => text.startsWith(sentences[name])),
    'has the wrong fields': Object.keys(body).length === (isOfGateway ? 3 : 2),
    'has another request_id than the header':
      !isOfGateway || body['request_id'] === answer.headers['x-request-id'],
    // Line ends in an unknown name are escaped. Those of a stack would not be.
    'tells of the inside': !/[\r\n]|node_modules|\.[jt]s:\d|KILL |SELECT |Error: /.test(text),
    'contains a secret': !SECRETS.some((secret) => answer.text.includes(secret)),
  });
}

/** Checks the status alone, because an answer to HEAD has no body. */
function expectHeadRefusal(answer: Answer, allowed: readonly string[]): void {
  expectNoFlaw(answer, {
    'is not an allowed refusal': allowed.some((refusal) => refusal.startsWith(`${answer.status} `)),
    'has a body': answer.text === '',
  });
}

function jsonIn({ text }: Answer): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return {};
  }
}

// An `expect` for each comparison would take longer than the service does.
function expectNoFlaw(answer: Answer, facts: Readonly<Record<string, boolean>>): void {
  const { status, headers } = answer;
  const requestId = String(headers['x-request-id']);
  const all = {
    ...facts,
    'has no X-Request-Id of its own':
      /^[0-9a-f]{32}$/.test(requestId) && !requestIds.has(requestId),
    'is no JSON': headers['content-type'] === 'application/json; charset=utf-8',
    'is 405 without Allow': status !== 405 || headers['allow'] === 'DELETE, GET, HEAD, POST',
  };
  requestIds.add(requestId);
  const flaws = Object.entries(all).flatMap(([flaw, isFine]) => (isFine ? [] : [flaw]));
  if (flaws.length > 0) {
    throw new Error(`The answer ${flaws.join(', ')}: ${JSON.stringify(answer)}`);
  }
}

async function expectRefused(request: HttpRequest, allowed: readonly string[]): Promise<void> {
  const answer = await send(request);
  malformed += 1;
  if (request.method === 'HEAD') {
    expectHeadRefusal(answer, allowed);
    return;
  }
  const isChinese = String(request.headers['X-Language']).trim().toLowerCase() === 'zh-cn';
  expectRefusal(answer, allowed, isChinese ? 'zh-cn' : 'en-us');
}

/** Expects every answer to be a refusal, and their number to be one of `counts`. */
async function expectRawRefused(
  request: RawRequest,
  counts: readonly number[],
  allowed: readonly string[],
): Promise<void> {
  const answers = await sendRaw(request);
  malformed += 1;
  for (const answer of answers) expectRefusal(answer, allowed);
  if (!counts.includes(answers.length)) {
    throw new Error(`There are ${answers.length} answers: ${JSON.stringify(answers)}`);
  }
}

/** Tries `runs` cases in concurrent lanes. Each lane has its own seed, counted from SEED. */
async function fuzz<T>(
  runs: number,
  cases: Arbitrary<T>,
  holds: (value: T) => Promise<void>,
): Promise<void> {
  const numRuns = Math.ceil(runs / LANES);
  const lanes = Array.from({ length: LANES }, (_, lane) =>
    fc.assert(fc.asyncProperty(cases, holds), { seed: SEED + lane, numRuns }),
  );
  await Promise.allSettled(lanes);
  await Promise.all(lanes);
}

function itRefuses(
  what: string,
  runs: number,
  requests: Arbitrary<HttpRequest>,
  ...allowed: readonly string[]
): void {
  it(`refuses ${what}`, () => fuzz(runs, requests, (request) => expectRefused(request, allowed)));
}

function itRefusesRaw(
  what: string,
  runs: number,
  requests: Arbitrary<RawRequest>,
  counts: readonly number[],
  ...allowed: readonly string[]
): void {
  it(`refuses ${what}`, () =>
    fuzz(runs, requests, (request) => expectRawRefused(request, counts, allowed)));
}

const VALID = {
  method: 'DELETE',
  path: processesPath(),
  headers: { 'X-Auth-Token': TOKEN, 'Content-Type': 'application/json' },
  body: '{"processes":[12]}',
} as const;
const VALID_GET = { method: 'GET', path: processesPath(), headers: { 'X-Auth-Token': TOKEN } };
const CONNECT = 'CONNECT localhost:3306 HTTP/1.1';
const KILLED = '{"processes_killed":[12],"processes_not_found":[]}';

async function expectKills(request: HttpRequest): Promise<void> {
  const ids = askedIds(request.body ?? '') ?? [];
  const killed = ids.filter((id) => SESSION_IDS.includes(id)).join(',');
  const notFound = ids.filter((id) => !SESSION_IDS.includes(id)).join(',');
  const { status, text } = await send(request);
  expect({ status, text }).toEqual({
    status: 200,
    text: `{"processes_killed":[${killed}],"processes_not_found":[${notFound}]}`,
  });
}

const WRONG = '400 DBS.200001';
const IS_NULL = '400 DBS.200006';
const BAD_ID = '400 DBS.280404';
const BAD_HTTP = '400 APIGW.0201';
const TOO_LARGE = '413 APIGW.0201';
const BAD_TYPE = '415 DBS.200001';
const NO_API = '404 APIGW.0101';
const NO_METHOD = '405 APIGW.0101';
const BIG_HEADERS = '431 APIGW.0201';

describe(`the service (FUZZ_SEED=${SEED})`, () => {
  afterEach(() => {
    expect(node.reached()).toEqual({ connections: 0, kills: [] });
    expect(events.splice(0).filter(({ level }) => level === 'error')).toEqual([]);
  });

  describe('given a fault in the body,', () => {
    itRefuses('ids that are not exact int64 integers', 3000, badBodies.wrongIds, WRONG);
    itRefuses('anything but an array of ids', 1200, badBodies.wrongProcesses, WRONG, IS_NULL);
    itRefuses('more ids than the limit', 40, badBodies.tooManyIds, WRONG);
    itRefuses('a repeated key', 1200, badBodies.repeatedKeys, WRONG);
    itRefuses('unknown fields', 1400, badBodies.unknownFields, WRONG);
    itRefuses('a body that is not a JSON object', 1500, badBodies.noJsonObject, WRONG);
    itRefuses('bad UTF-8 and lone surrogates', 800, badBodies.badText, WRONG, IS_NULL);
    itRefuses('nesting bombs', 140, badBodies.bombs, WRONG, IS_NULL, TOO_LARGE);
    itRefuses('bodies with a few bytes changed', 2500, badBodies.mutated, WRONG, IS_NULL);
    itRefuses('a body that is too large', 20, badBodies.tooLarge, TOO_LARGE);

    it('refuses a body that ends too early at any place', async () => {
      for (const body of CUT_BODIES) await expectRefused({ ...VALID, body }, [WRONG, IS_NULL]);
    });

    it('refuses a byte order mark', () =>
      expectRefused({ ...VALID, body: `\xef\xbb\xbf${VALID.body}` }, [WRONG]));
  });

  describe('given a fault in the headers,', () => {
    itRefuses('a body whose Content-Type is not JSON', 1000, badHeaders.contentType, BAD_TYPE);
    itRefuses(
      'a body with the Content-Encoding of a compression',
      500,
      badHeaders.contentEncoding,
      BAD_TYPE,
    );
    itRefuses('a missing token and an almost valid one', 1300, badHeaders.token, '401 APIGW.0301');
    itRefuses('an invalid signature', 400, badHeaders.signature, '401 APIGW.0301');
    itRefuses(
      'a kill with a token that may only list',
      100,
      badHeaders.permission,
      '403 DBS.200010',
    );
    itRefuses('a malformed Idempotency-Key', 400, badHeaders.idempotencyKey, WRONG);
    itRefuses('an invalid method override', 600, badHeaders.override, NO_METHOD);
    itRefuses('headers that are too large', 20, badHeaders.oversized, BIG_HEADERS);

    it.each(['Idempotency-Key: a b', 'Content-Encoding: gzip', 'X-HTTP-Method-Override: GET'])(
      'refuses %s after thousands of other headers',
      (header) => {
        const framing = ['Content-Length: 18', ...Array<string>(2500).fill('X: y'), header];
        const allowed = [WRONG, BAD_TYPE, NO_METHOD, BIG_HEADERS];
        return expectRawRefused(rawKill({ framing }), [1], allowed);
      },
    );

    it.each<[string, RawParts]>([
      ['text after JSON', { framing: ['Content-Length: 18', 'Content-Type: text/plain'] }],
      ['text before JSON', { headers: ['Host: localhost', 'Content-Type: text/plain'] }],
      [
        'two charsets',
        {
          headers: [
            'Host: localhost',
            'Content-Type: application/json; charset=utf-8; charset=ascii',
          ],
        },
      ],
    ])('refuses a contradictory type of the body: %s', (_, parts) =>
      expectRawRefused(rawKill(parts), [1], [BAD_TYPE, BAD_HTTP]),
    );
  });

  describe('given a fault in the path,', () => {
    itRefuses('a malformed project_id', 700, badPaths.projectId, WRONG);
    itRefuses('a malformed instance_id or node_id', 1000, badPaths.instanceOrNodeId, BAD_ID);
    itRefuses('an invalid percent escape', 300, badPaths.escape, BAD_HTTP);
    itRefuses('a URL outside the API', 1000, badPaths.other, NO_API, WRONG, BAD_ID);
    itRefuses('a URL that is too long', 60, badPaths.tooLong, '414 APIGW.0201');
    itRefuses('another project', 400, badPaths.otherProject, '403 DBS.200044');
    itRefuses('an unknown instance', 300, badPaths.unknownInstance, '404 DBS.200002');
    itRefuses(
      'a node that the instance does not have',
      300,
      badPaths.unknownNode,
      '404 DBS.290013',
    );

    it.each(['#', '#?dry_run=true', '#/', '?#', '\\#', '#\\', '?limit=1#'])(
      'refuses a URL with a fragment: %s',
      async (end) => {
        const allowed = [WRONG, BAD_HTTP, NO_API];
        await expectRefused({ ...VALID, path: VALID.path + end }, allowed);
        await expectRefused({ ...VALID_GET, path: VALID.path + end }, allowed);
      },
    );

    it.each(['http://[::1', 'http://a:b:c@[', 'http://a^b', 'http://xn--i%00', 'http:', 'x://[/'])(
      'refuses a URL that cannot be parsed: %s',
      async (start) => {
        const line = `DELETE ${start}${VALID.path} HTTP/1.1`;
        await expectRawRefused(rawKill({ line }), [1], [BAD_HTTP, NO_API]);
      },
    );
  });

  describe('given a fault in the query,', () => {
    itRefuses('every parameter of DELETE', 1300, badQueries.ofDelete, WRONG);
    itRefuses('invalid parameters of GET', 1300, badQueries.ofGet, WRONG, '400 DBS.280439');
  });

  describe('given a fault in the method,', () => {
    itRefuses('methods that the API does not have', 500, badMethods.known, NO_METHOD);
    itRefuses('methods that HTTP does not have', 300, badMethods.unknown, BAD_HTTP);

    it('refuses CONNECT', () => expectRawRefused(rawKill({ line: CONNECT }), [1], [NO_METHOD]));

    it('survives a client that disconnects before the response to its CONNECT', async () => {
      const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
      const client = connect({ port, host: '127.0.0.1' }, () => {
        client.write(rawKill({ line: CONNECT }).bytes);
        client.resetAndDestroy();
      });
      const socket = await accepted;
      const events: EventEmitter = socket;
      let wouldCrash = false;
      events.once(errorMonitor, () => {
        wouldCrash = socket.listenerCount('error') === 0;
        socket.once('error', () => undefined);
      });
      await until('the server has noticed', () => socket.destroyed);
      expect(wouldCrash).toBe(false);
    });

    it('stops although the client of a CONNECT stays connected', async () => {
      const other = createListener(app, { requestTimeoutMs: 100, log });
      await listening(other);
      const client = connect({ port: portOf(other), host: '127.0.0.1', allowHalfOpen: true });
      client.write(rawKill({ line: CONNECT }).bytes);
      await once(client, 'data');
      let hasStopped = false;
      void stopListening(other, 100).then(() => (hasStopped = true));
      await until('the server has stopped', () => hasStopped).finally(() => client.destroy());
    });
  });

  describe('given a fault on the wire,', () => {
    const http = [BAD_HTTP, NO_API, NO_METHOD];
    itRefusesRaw('malformed request lines', 500, rawRequests.line, [1], ...http);
    itRefusesRaw('malformed header lines', 400, rawRequests.header, [1], BAD_HTTP);
    itRefusesRaw('malformed framing', 500, rawRequests.framing, [1], BAD_HTTP, IS_NULL, TOO_LARGE);
    itRefusesRaw(
      'a Content-Length that is too short',
      100,
      rawRequests.tooShort,
      [1, 2],
      BAD_HTTP,
      WRONG,
      IS_NULL,
    );
    itRefusesRaw('headers without end', 20, rawRequests.hugeHeader, [1], BIG_HEADERS, BAD_HTTP);
    itRefusesRaw('control characters', 400, rawRequests.controlCharacter, [1], ...http);
    itRefusesRaw('an unfinished request', 400, rawRequests.cut, [0, 1], BAD_HTTP);
    itRefusesRaw('random bytes', 900, rawRequests.noise, [0, 1, 2, 3], ...Object.keys(SENTENCES));

    const host = 'Host: localhost';
    it.each<[string, RawParts]>([
      ['no Host', { headers: [] }],
      ['two Hosts', { headers: [host, host] }],
      ['two Hosts beside a probe', { line: 'GET /healthz/x HTTP/1.1', headers: [host, host] }],
      ['an invalid Host', { headers: ['Host: local host/'] }],
      [
        'an unknown transfer coding',
        { framing: ['Transfer-Encoding: gzip, chunked'], body: CHUNKED_BODY },
      ],
      [
        'a transfer coding in HTTP/1.0',
        {
          line: `DELETE ${VALID.path} HTTP/1.0`,
          headers: [host, 'Connection: keep-alive'],
          framing: ['Transfer-Encoding: chunked'],
          body: CHUNKED_BODY,
        },
      ],
    ])('refuses %s', (_, parts) => expectRawRefused(rawKill(parts), [1], [BAD_HTTP]));

    it.each(['', ' HTTP/0.9', ' HTTP/2.0'])('refuses another version of HTTP: "%s"', (version) =>
      expectRawRefused(rawKill({ line: `DELETE ${VALID.path}${version}` }), [1], [BAD_HTTP]),
    );

    it.each([`PUT ${VALID.path} HTTP/1.1`, 'PUT /x HTTP/1.1', 'OPTIONS * HTTP/1.1'])(
      'answers a refused request once, even if its body is malformed: %s',
      (line) =>
        expectRawRefused(
          rawKill({ line, framing: ['Transfer-Encoding: chunked'], body: 'x\r\n' }),
          [1],
          http,
        ),
    );
  });

  it('has received at least 20,000 malformed requests', () => {
    expect(malformed).toBeGreaterThanOrEqual(20_000);
  });
});

describe('valid requests that resemble malformed ones', () => {
  beforeEach(() => {
    node.reached();
  });

  it.each(SESSION_IDS.map(String))('kill session %s and no other', async (id) => {
    await expectKills({ ...VALID, body: `{"processes":[${id}]}` });
    expect(node.reached()).toEqual({ connections: 1, kills: [BigInt(id)] });
  });

  it('kill the sessions that they name in every spelling', () =>
    fuzz(1000, validKills, expectKills));

  const manyIds = Array.from({ length: MAX_IDS }, (_, index) => index + 1).join(',');
  it.each<[string, Partial<HttpRequest>]>([
    ['a body of the largest size', { body: VALID.body.padEnd(MAX_BODY_BYTES) }],
    ['the largest number of ids, each twice', { body: `{"processes":[${manyIds},${manyIds}]}` }],
    ['an escaped key', { body: '{"proc\\u0065sses":[12]}' }],
    ['an escaped id', { path: VALID.path.replace('/619d', '/%36%319d') }],
    ['the identity coding', { headers: { 'Content-Encoding': 'identity' } }],
    [
      'another spelling of the type',
      { headers: { 'Content-Type': 'Application/JSON; Charset=UTF-8' } },
    ],
    [
      'a POST with a method override',
      { method: 'POST', headers: { 'X-HTTP-Method-Override': 'delete' } },
    ],
    ['a Prefer', { headers: { Prefer: 'wait=10, handling=lenient' } }],
    ['a large header', { headers: { 'X-Filler': 'x'.repeat(60_000) } }],
  ])('kill with %s', async (_, { headers, ...changes }) => {
    await expectKills({ ...VALID, ...changes, headers: { ...VALID.headers, ...headers } });
    expect(node.reached()).toMatchObject({ connections: 1 });
  });

  it.each([
    ['its length', rawKill()],
    ['its chunks', rawChunkedKill()],
  ])('kill with a body that is delimited by %s', async (_, request) => {
    const answers = await sendRaw(request);
    expect(answers.map(({ status, text }) => ({ status, text }))).toEqual([
      { status: 200, text: KILLED },
    ]);
    expect(node.reached()).toEqual({ connections: 1, kills: [12n] });
  });

  it.each(['', '?limit=1', '?limit=100&offset=0', '?lim%69t=7', `?offset=${'9'.repeat(40)}`])(
    'list with the query "%s"',
    async (query) => {
      const { status, text } = await send({ ...VALID_GET, path: VALID_GET.path + query });
      expect(status).toBe(200);
      expect(JSON.parse(text)).toMatchObject({ total_count: SESSION_IDS.length });
      // A later page can come from the previous list.
      const { connections, kills } = node.reached();
      expect([connections <= 1, kills]).toEqual([true, []]);
    },
  );

  it.each([
    ...['x', ']', '\0', 'DELETE', '\r\n\r\nx y\r\n\r\n', '{"processes":[12]}'],
    `${CONNECT}\r\nHost: localhost\r\n\r\n`,
  ])('report their kills, even if other bytes follow: %j', async (end) => {
    await expectCorrectReport({ bytes: rawKill().bytes + end });
  });

  it('report their kills if they have an unknown expectation and garbage follows', async () => {
    const { bytes } = rawKill({ headers: ['Host: localhost', 'Expect: miracles'] });
    await expectCorrectReport({ bytes: `${bytes}x` });
  });
});

/** Expects the first answer to report the kill, or to be a refusal without a kill. */
async function expectCorrectReport(request: RawRequest): Promise<void> {
  const [first] = await sendRaw(request);
  const { kills } = node.reached();
  if (kills.length === 0) expect(first?.status).toBe(400);
  else expect(first).toMatchObject({ status: 200, text: KILLED });
}
