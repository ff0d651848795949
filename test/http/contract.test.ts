import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey, processesPath } from '../support/ids.ts';
import { createService, TOKEN, type Grant } from '../support/service.ts';

const OTHER_PROJECT = 'ffffffffffffffffffffffffffffffff';
const LIST_ONLY: Grant = {
  user: 'reader',
  projectId: nodeKey.projectId,
  actions: ['gaussdb:instance:listProcesses'],
};
const LISTING = 'token-that-may-list';

function start() {
  const nodes = new FakeNodes();
  const service = createService({
    registry: [fakeNode],
    nodes,
    callers: { [LISTING]: LIST_ONLY },
    maxProcesses: 3,
  });
  return { nodes, ...service };
}

/** The parts of a request. Each test changes those that it is about. */
interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

async function send(
  { app }: Pick<ReturnType<typeof start>, 'app'>,
  { method = 'DELETE', path = processesPath(), token = TOKEN, headers = {}, body }: Sent,
): Promise<request.Response> {
  const name = method.toLowerCase() as 'delete';
  const sent = request(app)[name](path);
  if (token !== null) sent.set('X-Auth-Token', token);
  if (body !== undefined) sent.set('Content-Type', 'application/json');
  sent.set(headers);
  if (body === undefined) return sent;
  // Without a serializer of its own, superagent would turn a Buffer into JSON.
  return sent.serialize((value: unknown) => value as string).send(body as string);
}

const ONE = '{"processes":[1]}';

describe('an error', () => {
  // The columns of the contract's table: status, code and sentence.
  const cases: readonly [string, Sent, number, string, string][] = [
    ['an unknown URL', { path: '/v3/nothing' }, 404, 'APIGW.0101', 'The API does not exist.'],
    [
      'a URL with an extra slash',
      { path: `${processesPath()}/`, body: ONE },
      404,
      'APIGW.0101',
      'The API does not exist.',
    ],
    [
      'a URL in capitals',
      { path: processesPath().replace('/processes', '/PROCESSES'), body: ONE },
      404,
      'APIGW.0101',
      'The API does not exist.',
    ],
    ['a wrong method', { method: 'PUT', body: ONE }, 405, 'APIGW.0101', 'The API does not exist.'],
    [
      'POST without the override',
      { method: 'POST', body: ONE },
      405,
      'APIGW.0101',
      'The API does not exist.',
    ],
    [
      'a body that is too large',
      { body: `{"processes":[1]}${' '.repeat(262_144)}`, token: null },
      413,
      'APIGW.0201',
      'Request entity too large. The body must have at most 262144 bytes.',
    ],
    [
      'a URI that is too large',
      { path: `${processesPath()}?${'a'.repeat(9000)}`, token: null },
      414,
      'APIGW.0201',
      'Request URI too large.',
    ],
    [
      'no token',
      { body: ONE, token: null },
      401,
      'APIGW.0301',
      'Incorrect IAM authentication information: x-auth-token not found',
    ],
    [
      'an empty token',
      { body: ONE, token: '' },
      401,
      'APIGW.0301',
      'Incorrect IAM authentication information: x-auth-token not found',
    ],
    [
      'an unknown token',
      { body: ONE, token: `${TOKEN}x` },
      401,
      'APIGW.0301',
      'Incorrect IAM authentication information: decrypt token fail',
    ],
    [
      'a malformed project',
      { path: processesPath({ ...nodeKey, projectId: 'p' }), body: ONE },
      400,
      'DBS.200001',
      'Parameter error. project_id must be exactly 32 letters and digits.',
    ],
    [
      "another's project",
      { path: processesPath({ ...nodeKey, projectId: OTHER_PROJECT }), body: ONE },
      403,
      'DBS.200044',
      'Resource not found or permission denied.',
    ],
    [
      'an action that is not granted',
      { token: LISTING, body: ONE },
      403,
      'DBS.200010',
      'The DB instance ID or user ID may be null, or the operation is not authorized. The caller lacks the permission gaussdbformysql:instance:deleteProcesses.',
    ],
    [
      'a malformed instance',
      { path: processesPath({ ...nodeKey, instanceId: nodeKey.nodeId }), body: ONE },
      400,
      'DBS.280404',
      'Invalid DB instance ID or node ID format. instance_id must be exactly 36 letters and digits and end in in07.',
    ],
    [
      'a malformed node',
      { path: processesPath({ ...nodeKey, nodeId: nodeKey.instanceId }), body: ONE },
      400,
      'DBS.280404',
      'Invalid DB instance ID or node ID format. node_id must be exactly 36 letters and digits and end in no07.',
    ],
    ['no body', {}, 400, 'DBS.200006', 'The request is null. Enter a request parameter.'],
    [
      'no processes',
      { body: '{}' },
      400,
      'DBS.200006',
      'The request is null. Enter a request parameter. The field processes is missing.',
    ],
    [
      'a body without the Content-Type of JSON',
      { body: ONE, headers: { 'Content-Type': 'text/plain' } },
      415,
      'DBS.200001',
      'Parameter error. The header Content-Type must be application/json, given once.',
    ],
    [
      'a body in another charset',
      { body: ONE, headers: { 'Content-Type': 'application/json; charset=gbk' } },
      415,
      'DBS.200001',
      'Parameter error. The charset of the body must be utf-8.',
    ],
    [
      'a compressed body',
      { body: ONE, headers: { 'Content-Encoding': 'gzip' } },
      415,
      'DBS.200001',
      'Parameter error. The body must not be compressed.',
    ],
    [
      'bad UTF-8',
      { body: Buffer.from('{"processes":[1],"\xff":1}', 'latin1') },
      400,
      'DBS.200001',
      'Parameter error. The body is not valid UTF-8.',
    ],
    [
      'bad JSON',
      { body: '{"processes":[1,]}' },
      400,
      'DBS.200001',
      'Parameter error. The body is not valid JSON.',
    ],
    [
      'a nesting bomb',
      { body: '['.repeat(100_000) },
      400,
      'DBS.200001',
      'Parameter error. The body is not valid JSON.',
    ],
    [
      'JSON that is not an object',
      { body: '[1]' },
      400,
      'DBS.200001',
      'Parameter error. The body must be a JSON object.',
    ],
    [
      'a key twice',
      { body: '{"processes":[1],"processes":[2]}' },
      400,
      'DBS.200001',
      'Parameter error. The body is not valid JSON.',
    ],
    [
      'a key twice with the same value',
      { body: String.raw`{"processes":[1],"proc\u0065sses":[1]}` },
      400,
      'DBS.200001',
      'Parameter error. A JSON object must not hold the same key twice.',
    ],
    [
      'an unknown field',
      { body: '{"processes":[1],"unless":[]}' },
      400,
      'DBS.200001',
      'Parameter error. The field "unless" is not known.',
    ],
    [
      'a field that every object has',
      { body: '{"processes":[1],"__proto__":{}}' },
      400,
      'DBS.200001',
      'Parameter error. The field "__proto__" is not known.',
    ],
    [
      'null for processes',
      { body: '{"processes":null}' },
      400,
      'DBS.200001',
      'Parameter error. processes must be an array.',
    ],
    [
      'no id',
      { body: '{"processes":[]}' },
      400,
      'DBS.200001',
      'Parameter error. processes must hold 1 to 3 ids.',
    ],
    [
      'too many ids',
      { body: '{"processes":[1,2,3,4]}' },
      400,
      'DBS.200001',
      'Parameter error. processes must hold 1 to 3 ids.',
    ],
    ...['1.0', '1e3', '-0', '-1', '"12"', 'true', 'null', '[1]', '{}', '9223372036854775808'].map(
      (id): [string, Sent, number, string, string] => [
        `the id ${id}`,
        { body: `{"processes":[1,${id}]}` },
        400,
        'DBS.200001',
        'Parameter error. processes[1] must be an integer from 0 to 9223372036854775807.',
      ],
    ),
    [
      'an unknown query parameter',
      { path: `${processesPath()}?dryrun=true`, body: ONE },
      400,
      'DBS.200001',
      'Parameter error. The query parameter "dryrun" is not known.',
    ],
    [
      'an unknown query parameter after 2,000 empty ones',
      { path: `${processesPath()}?${'&'.repeat(2000)}dryrun=true`, body: ONE },
      400,
      'DBS.200001',
      'Parameter error. The query parameter "dryrun" is not known.',
    ],
    [
      'an Idempotency-Key that is too long',
      { body: ONE, headers: { 'Idempotency-Key': 'a'.repeat(65) } },
      400,
      'DBS.200001',
      'Parameter error. The header Idempotency-Key must be 1 to 64 visible ASCII characters.',
    ],
    [
      'an unknown instance',
      {
        path: processesPath({ ...nodeKey, instanceId: nodeKey.instanceId.replace('a23', 'b23') }),
        body: ONE,
      },
      404,
      'DBS.200002',
      'The DB instance does not exist.',
    ],
    [
      'an unknown node',
      {
        path: processesPath({ ...nodeKey, nodeId: nodeKey.nodeId.replace('186', '286') }),
        body: ONE,
      },
      404,
      'DBS.290013',
      'Resource not found.',
    ],
    [
      'a limit of 0',
      { method: 'GET', path: `${processesPath()}?limit=0` },
      400,
      'DBS.280439',
      'Invalid records. Enter a positive integer no more than 100. limit must be an integer from 1 to 100, given once.',
    ],
    [
      'a limit of 101',
      { method: 'GET', path: `${processesPath()}?limit=101` },
      400,
      'DBS.280439',
      'Invalid records. Enter a positive integer no more than 100. limit must be an integer from 1 to 100, given once.',
    ],
    [
      'an empty limit',
      { method: 'GET', path: `${processesPath()}?limit=` },
      400,
      'DBS.280439',
      'Invalid records. Enter a positive integer no more than 100. limit must be an integer from 1 to 100, given once.',
    ],
    [
      'a negative offset',
      { method: 'GET', path: `${processesPath()}?offset=-1` },
      400,
      'DBS.200001',
      'Parameter error. offset must be an integer of 0 or more, given once.',
    ],
    [
      'an offset twice',
      { method: 'GET', path: `${processesPath()}?offset=1&offset=1` },
      400,
      'DBS.200001',
      'Parameter error. offset must be an integer of 0 or more, given once.',
    ],
    [
      'an unknown filter',
      { method: 'GET', path: `${processesPath()}?user=app` },
      400,
      'DBS.200001',
      'Parameter error. The query parameter "user" is not known.',
    ],
  ];

  it.each(cases)(
    'has the status, code and sentence of the contract for %s',
    async (_what, sent, status, code, message) => {
      const started = start();
      const id = started.nodes.connect({ id: '1' });

      const res = await send(started, sent);

      const requestId = res.headers['x-request-id'] ?? '';
      expect(requestId).toMatch(/^[0-9a-f]{32}$/);
      expect([res.status, res.body]).toEqual([
        status,
        {
          error_code: code,
          error_msg: message,
          ...(code.startsWith('APIGW') && { request_id: requestId }),
        },
      ]);
      expect(started.nodes.connections).toBe(0);
      expect(started.nodes.has(id)).toBe(true);
    },
  );

  it('is in Chinese, details included, if the request asks for Chinese', async () => {
    const started = start();
    const ask = async (language: string, body: string): Promise<unknown> =>
      (await send(started, { body, headers: { 'X-Language': language } })).body;

    expect(await ask('zh-cn', '{"processes":[-1]}')).toEqual({
      error_code: 'DBS.200001',
      error_msg: '参数错误。processes[0]必须为0到9223372036854775807的整数。',
    });
    expect(await ask('fr-fr', '{"processes":[-1]}')).toMatchObject({
      error_msg: 'Parameter error. processes[0] must be an integer from 0 to 9223372036854775807.',
    });
  });

  it.each([
    ['x_language', { x_language: 'zh-cn' }, '参数错误。'],
    ['X_Language', { X_Language: 'ZH-CN' }, '参数错误。'],
    [
      'the published name rather than its alias',
      { 'X-Language': 'zh-cn', x_language: 'en-us' },
      '参数错误。',
    ],
    ['the default', {}, 'Parameter error.'],
  ])('takes the language from %s', async (_what, headers, beginning) => {
    const res = await send(start(), { body: '{"processes":[-1]}', headers });
    expect((res.body as { error_msg: string }).error_msg.startsWith(beginning)).toBe(true);
  });

  it('names the allowed methods if it is a 405', async () => {
    const res = await send(start(), { method: 'PATCH' });
    expect(res.headers['allow']).toBe('DELETE, GET, HEAD, POST');
  });

  it.each([
    '/healthz',
    '/readyz',
    '/docs',
    '/docs/start.js',
    '/docs/swagger-ui.css',
    '/openapi.yaml',
  ])('names GET and HEAD as the allowed methods of %s', async (path) => {
    for (const method of ['POST', 'OPTIONS']) {
      const res = await send(start(), { method, path });
      expect([res.status, res.headers['allow']]).toEqual([405, 'GET, HEAD']);
      expect(res.body).toMatchObject({ error_code: 'APIGW.0101' });
    }
  });

  it('is a 500 that does not name the node if the connection to the node is lost', async () => {
    const started = start();
    started.nodes.isReachable = false;

    const res = await send(started, { body: ONE });

    expect([res.status, res.body]).toEqual([
      500,
      {
        error_code: 'DBS.200005',
        error_msg: 'Server failure. The connection to the node was lost.',
      },
    ]);
  });

  it('has no details if it is unexpected; the log has them', async () => {
    const started = start();
    started.nodes.beforeList = () => {
      throw new TypeError('secret detail');
    };

    const res = await send(started, { body: ONE });

    expect([res.status, res.body]).toEqual([
      500,
      { error_code: 'DBS.200005', error_msg: 'Server failure.' },
    ]);
    expect(started.events).toMatchObject([
      {
        level: 'error',
        message: 'request',
        fields: { error: { cause: { message: 'secret detail' } } },
      },
    ]);
  });
});

describe('the first fault of a request', () => {
  // The first request has every fault. Each step corrects one, in the order of the contract.
  const badPath = processesPath({ projectId: 'p', instanceId: 'i', nodeId: 'n' });
  const steps: readonly [string, Sent, number, string][] = [
    [
      'URL',
      { path: `/x${badPath}?${'a'.repeat(9000)}`, method: 'PUT', token: null },
      404,
      'APIGW.0101',
    ],
    [
      'method',
      { path: `${badPath}?${'a'.repeat(9000)}`, method: 'PUT', token: null },
      405,
      'APIGW.0101',
    ],
    ['sizes', { path: `${badPath}?${'a'.repeat(9000)}`, token: null }, 414, 'APIGW.0201'],
    [
      'credentials',
      { path: `${badPath}?a`, token: null, headers: { 'Content-Encoding': 'gzip' }, body: '{' },
      401,
      'APIGW.0301',
    ],
    ['project_id format', { path: `${badPath}?a`, token: LISTING }, 400, 'DBS.200001'],
    [
      'project',
      {
        path: `${processesPath({ projectId: OTHER_PROJECT, instanceId: 'i', nodeId: 'n' })}?a`,
        token: LISTING,
      },
      403,
      'DBS.200044',
    ],
    [
      'action',
      { path: `${processesPath({ ...nodeKey, instanceId: 'i', nodeId: 'n' })}?a`, token: LISTING },
      403,
      'DBS.200010',
    ],
    [
      'instance and node format',
      { path: `${processesPath({ ...nodeKey, nodeId: 'n' })}?a` },
      400,
      'DBS.280404',
    ],
    [
      'presence of a body',
      { path: `${processesPath()}?a`, headers: { 'Content-Type': 'text/plain' } },
      400,
      'DBS.200006',
    ],
    [
      'Content-Type',
      { path: `${processesPath()}?a`, headers: { 'Content-Type': 'text/plain' }, body: '{' },
      415,
      'DBS.200001',
    ],
    ['body', { path: `${processesPath()}?a`, body: '{' }, 400, 'DBS.200001'],
    [
      'query',
      { path: `${processesPath({ ...nodeKey, nodeId: `${'0'.repeat(32)}no07` })}?a`, body: ONE },
      400,
      'DBS.200001',
    ],
    [
      'node',
      { path: processesPath({ ...nodeKey, nodeId: `${'0'.repeat(32)}no07` }), body: ONE },
      404,
      'DBS.290013',
    ],
  ];

  it.each(steps)('decides the response: %s', async (_what, sent, status, code) => {
    const res = await send(start(), sent);
    expect([res.status, (res.body as { error_code: string }).error_code]).toEqual([status, code]);
  });
});

describe('DELETE', () => {
  it.each([
    ['application/json', '{"processes":[1,2]}'],
    ['application/json;charset=utf-8', '{"processes": [1, 2]}'],
    ['application/json;charset=UTF-8', '{"processes":[1,2]}\n'],
    ['Application/JSON; Charset="utf-8"', ' \r\n{ "processes" :\t[ 1 , 2 ] } '],
    ['application/json; charset=utf8', '{"processes":[1,2]}'],
    ['application/json;charset="UTF8"', '{"processes":[1,2]}'],
  ])('accepts the bodies of the official SDKs: %s %j', async (type, body) => {
    const started = start();
    started.nodes.connect({ id: '1' });

    const res = await send(started, { body, headers: { 'Content-Type': type } });

    expect([res.status, res.text]).toEqual([
      200,
      '{"processes_killed":[1],"processes_not_found":[2]}',
    ]);
    expect(started.nodes.kills).toEqual([1n]);
  });

  it('reports the id 0, which no session has, as not found', async () => {
    const started = start();
    started.nodes.connect({ id: '1' });

    const res = await send(started, {
      body: '{"processes":[0,1],"expected":[{"id":0,"user":"app"}]}',
    });

    expect([res.status, res.text]).toEqual([
      200,
      '{"processes_killed":[1],"processes_not_found":[0]}',
    ]);
    expect(started.nodes.kills).toEqual([1n]);
  });

  it('can be sent as a POST with X-HTTP-Method-Override', async () => {
    const started = start();
    started.nodes.connect({ id: '1' });
    const headers = { 'X-HTTP-Method-Override': 'DELETE' };

    const res = await send(started, { method: 'POST', body: ONE, headers });

    expect([res.status, res.text]).toEqual([
      200,
      '{"processes_killed":[1],"processes_not_found":[]}',
    ]);
  });

  it.each([
    ['GET', 'DELETE'],
    ['DELETE', 'GET'],
    ['POST', 'PUT'],
  ])('is refused if a %s is overridden with %s', async (method, override) => {
    const started = start();
    started.nodes.connect({ id: '1' });
    const headers = { 'X-HTTP-Method-Override': override };

    const res = await send(started, { method, body: ONE, headers });

    expect(res.status).toBe(405);
    expect(started.nodes.kills).toEqual([]);
  });

  it('counts a repeated id once, also for the limit on ids', async () => {
    const started = start();
    started.nodes.connect({ id: '1' });

    const res = await send(started, { body: '{"processes":[1,1,2,2,3,3,1]}' });

    expect(res.text).toBe('{"processes_killed":[1],"processes_not_found":[2,3]}');
  });

  it('kills and reports the largest ids without rounding them', async () => {
    const started = start();
    started.nodes.connect({ id: '9223372036854775807' });

    const res = await send(started, {
      body: '{"processes":[9223372036854775807,9007199254740993]}',
    });

    expect(res.text).toBe(
      '{"processes_killed":[9223372036854775807],"processes_not_found":[9007199254740993]}',
    );
    expect(started.nodes.kills).toEqual([9_223_372_036_854_775_807n]);
  });

  it('reports every id if it fails half-way', async () => {
    const started = start();
    for (const id of ['1', '2', '3']) started.nodes.connect({ id });
    started.nodes.faults.set(2n, 'lost, and the node restarts');

    const res = await send(started, { body: '{"processes":[1,2,3]}' });

    expect([res.status, res.body]).toEqual([
      500,
      {
        error_code: 'DBS.200005',
        error_msg:
          'Server failure. 1 killed, 0 not found, 1 failed, 1 unknown. Failed: 3. Unknown: 2. The connection to the node was lost.',
        processes_killed: [1],
        processes_not_found: [],
        processes_failed: [3],
        processes_unknown: [2],
      },
    ]);
  });
});

describe('GET', () => {
  it('lists the sessions of a page', async () => {
    const started = start();
    for (const id of ['20', '3', '100']) started.nodes.connect({ id, info: 'SELECT 1' });
    const path = `${processesPath()}?offset=1&limit=1`;

    const res = await send(started, { method: 'GET', path, token: LISTING });

    expect([res.status, res.text]).toEqual([
      200,
      '{"processes":[{"id":20,"user":"app","host":"10.0.0.4:50020","db":"shop","command":"Sleep","time":12,"state":"","info":"SELECT 1"}],"total_count":3}',
    ]);
    expect(res.headers['content-type']).toBe('application/json; charset=utf-8');
  });

  it('returns at most 100 sessions without a limit, and none past the end', async () => {
    const started = start();
    for (let id = 1; id <= 101; id += 1) started.nodes.connect({ id: id.toString() });
    const shown = async (query: string): Promise<[number, number]> => {
      const res = await send(started, { method: 'GET', path: `${processesPath()}${query}` });
      const { processes, total_count } = res.body as { processes: unknown[]; total_count: number };
      return [processes.length, total_count];
    };

    expect(await shown('')).toEqual([100, 101]);
    expect(await shown('?offset=100')).toEqual([1, 101]);
    expect(await shown('?offset=99999999999999999999')).toEqual([0, 101]);
  });

  it.each(['*', '"a"', 'W/"a", *'])(
    'returns the whole body in spite of If-None-Match: %s',
    async (tags) => {
      const res = await send(start(), { method: 'GET', headers: { 'If-None-Match': tags } });
      expect([res.status, res.text]).toEqual([200, '{"processes":[],"total_count":0}']);
    },
  );

  it('returns its headers alone if the method is HEAD', async () => {
    const res = await send(start(), { method: 'HEAD' });
    expect([res.status, res.text]).toEqual([200, undefined]);
    expect(res.headers['content-type']).toBe('application/json; charset=utf-8');
  });
});

describe('every route', () => {
  it.each(['GET', 'HEAD', 'DELETE', 'POST'])('requires credentials: %s', async (method) => {
    const headers = method === 'POST' ? { 'X-HTTP-Method-Override': 'DELETE' } : {};
    const res = await send(start(), { method, token: null, headers });
    expect(res.status).toBe(401);
  });
});
