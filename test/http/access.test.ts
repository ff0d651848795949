import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { KeystoneTokens } from '../../src/identity/keystone-tokens.ts';
import { FakeKeystone } from '../support/fake-keystone.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey, processesPath } from '../support/ids.ts';
import { createService, TOKEN } from '../support/service.ts';
import { ACCESS_KEY, sign } from '../support/sign.ts';

const OTHER_PROJECT = 'ffffffffffffffffffffffffffffffff';
const OTHER_INSTANCE = 'b23fb62bd61e4e9e9636fd2225f395bein07';
const OTHER_NODE = '28663926eacb443d98dc20f8620f28f2no07';
const BODY = '{"processes":[1]}';

/** Our node, a node in another instance of our project, and a node in another project. */
const REGISTRY = [
  fakeNode,
  { ...fakeNode, nodeId: OTHER_NODE, instanceId: OTHER_INSTANCE },
  { ...fakeNode, nodeId: OTHER_NODE.replace('2866', '3866'), projectId: OTHER_PROJECT },
];

const iam = new FakeKeystone();
const nodes = new FakeNodes();
let service: ReturnType<typeof createService>;

beforeAll(async () => {
  await iam.start();
  iam.tokens.set('iam-token', { roles: ['member'] });
  iam.tokens.set('iam-token-without', { roles: ['nobody'] });
  service = createService({
    registry: REGISTRY,
    nodes,
    callers: { 'token-without': { user: 'x', projectId: nodeKey.projectId, actions: [] } },
    accessKeys: [ACCESS_KEY, { ...ACCESS_KEY, access: 'AKWITHOUT', actions: [] }],
    keystone: new KeystoneTokens({
      endpoint: iam.endpoint,
      cacheSeconds: 30,
      timeoutMs: 1000,
      serviceToken: undefined,
      roleActions: { member: ['*'] },
    }),
  });
});
afterAll(() => {
  iam.stop();
});

interface Route {
  readonly method: 'GET' | 'HEAD' | 'DELETE' | 'POST';
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The call, in place of `processes`. */
  readonly call?: string;
}

const ROUTES: readonly Route[] = [
  { method: 'GET' },
  { method: 'GET', call: 'processes?with=transaction' },
  { method: 'GET', call: `processes/${nodes.connect()}` },
  { method: 'GET', call: 'summary' },
  { method: 'GET', call: 'capabilities' },
  { method: 'GET', call: 'blockers' },
  { method: 'GET', call: `process/lock-wait?pid=${nodes.connect()}` },
  { method: 'HEAD' },
  { method: 'DELETE', body: BODY },
  { method: 'POST', body: BODY, headers: { 'x-http-method-override': 'DELETE' } },
];

type Prove = (route: Route, path: string, allowed: boolean) => Record<string, string>;

function parts(url: string): { path: string; query: string } {
  const [path = '', query = ''] = url.split('?');
  return { path, query };
}

const CREDENTIALS: Readonly<Record<string, Prove>> = {
  'a static token': (_route, _path, allowed) => ({
    'X-Auth-Token': allowed ? TOKEN : 'token-without',
  }),
  'an IAM token': (_route, _path, allowed) => ({
    'X-Auth-Token': allowed ? 'iam-token' : 'iam-token-without',
  }),
  'a signature': ({ method, body = '' }, path, allowed) =>
    sign({
      method,
      ...parts(path),
      body,
      key: { ...ACCESS_KEY, ...(!allowed && { access: 'AKWITHOUT' }) },
    }),
  'a signature and a token': (route, path, allowed) => ({
    // One more header than above: an identical signed DELETE would get the first answer again.
    ...sign({
      method: route.method,
      ...parts(path),
      body: route.body ?? '',
      headers: { 'x-language': 'en-us' },
    }),
    'X-Auth-Token': allowed ? TOKEN : 'token-without',
  }),
};

const SITUATIONS: Readonly<Record<string, [string, boolean, number, string | undefined]>> = {
  'a node of its own project': [processesPath(), true, 200, undefined],
  "another project's node": [
    processesPath({
      projectId: OTHER_PROJECT,
      instanceId: nodeKey.instanceId,
      nodeId: OTHER_NODE.replace('2866', '3866'),
    }),
    true,
    403,
    'DBS.200044',
  ],
  'an unknown node of another project': [
    processesPath({ ...nodeKey, projectId: OTHER_PROJECT, nodeId: `${'0'.repeat(32)}no07` }),
    true,
    403,
    'DBS.200044',
  ],
  'an unknown instance': [
    processesPath({ ...nodeKey, instanceId: `${'0'.repeat(32)}in07` }),
    true,
    404,
    'DBS.200002',
  ],
  'an unknown node': [
    processesPath({ ...nodeKey, nodeId: `${'0'.repeat(32)}no07` }),
    true,
    404,
    'DBS.290013',
  ],
  'a node of another instance': [
    processesPath({ ...nodeKey, nodeId: OTHER_NODE }),
    true,
    404,
    'DBS.290013',
  ],
  'an action that was not granted': [processesPath(), false, 403, 'DBS.200010'],
  'an action that was not granted, in another project': [
    processesPath({ ...nodeKey, projectId: OTHER_PROJECT }),
    false,
    403,
    'DBS.200044',
  ],
};

async function send(route: Route, path: string, headers: Record<string, string>) {
  const name = route.method.toLowerCase() as 'delete';
  const sent = request(service.app)
    [name](path)
    .set({ ...headers, ...route.headers });
  if (route.body === undefined) return sent;
  return sent.type('application/json').send(route.body);
}

const CALLS = ROUTES.map((route) => [route.method, route.call ?? 'processes', route] as const);

describe.each(CALLS)('%s %s', (_method, call, route) => {
  describe.each(Object.entries(CREDENTIALS))('with %s', (_kind, prove) => {
    it.each(Object.entries(SITUATIONS))(
      'gets the right status for %s',
      async (_what, [ofProcesses, allowed, status, code]) => {
        const path = ofProcesses.replace(/processes$/, call);
        const before = nodes.connections;

        const res = await send(route, path, prove(route, path, allowed));

        expect(res.status).toBe(status);
        if (route.method !== 'HEAD') {
          expect((res.body as { error_code?: string }).error_code).toBe(code);
        }
        // A probe opens connections of its own.
        const connections = call === 'capabilities' ? 0 : 1;
        expect(nodes.connections - before).toBe(status === 200 ? connections : 0);
      },
    );
  });
});

describe.each(Object.entries(CREDENTIALS))('GET …/nodes with %s', (_kind, prove) => {
  it.each([
    ['its own project', nodeKey.projectId, true, 200, undefined],
    ['another project', OTHER_PROJECT, true, 403, 'DBS.200044'],
    ['an action that was not granted', nodeKey.projectId, false, 403, 'DBS.200010'],
  ])('gets the right status for %s', async (_what, projectId, isAllowed, status, code) => {
    const path = `/v3/${projectId}/nodes`;
    const res = await send({ method: 'GET' }, path, prove({ method: 'GET' }, path, isAllowed));
    const { error_code: errorCode, nodes: shown } = res.body as {
      error_code?: string;
      nodes?: object[];
    };
    expect([res.status, errorCode]).toEqual([status, code]);
    expect(shown?.length).toBe(status === 200 ? 2 : undefined);
  });
});

describe("a request for another project's node", () => {
  it('gets the same response whether the node exists or not', async () => {
    const exists = SITUATIONS["another project's node"]?.[0] ?? '';
    const not = SITUATIONS['an unknown node of another project']?.[0] ?? '';
    const [a, b] = [
      await send({ method: 'GET' }, exists, { 'X-Auth-Token': TOKEN }),
      await send({ method: 'GET' }, not, { 'X-Auth-Token': TOKEN }),
    ];
    expect([a.status, a.text]).toEqual([b.status, b.text]);
  });
});

describe('two credentials', () => {
  it('are refused if they prove different projects', async () => {
    iam.tokens.set('iam-elsewhere', { projectId: OTHER_PROJECT });
    const headers = {
      ...sign({ method: 'GET', path: processesPath() }),
      'X-Auth-Token': 'iam-elsewhere',
    };
    const res = await send({ method: 'GET' }, processesPath(), headers);
    expect([res.status, res.body]).toEqual([
      401,
      {
        error_code: 'APIGW.0301',
        error_msg:
          'Incorrect IAM authentication information: the token and the signature prove different projects',
        request_id: res.headers['x-request-id'],
      },
    ]);
  });

  it('are both named in the log', async () => {
    const headers = {
      ...sign({ method: 'GET', path: processesPath() }),
      'X-Auth-Token': 'iam-token',
    };
    await send({ method: 'GET' }, processesPath(), headers);
    expect(service.events.at(-1)).toMatchObject({
      fields: {
        caller: 'signer and bob',
        proof: 'access key AKEXAMPLE000000000001 and IAM token of id-of-bob',
      },
    });
  });

  it('are refused if one of them is invalid', async () => {
    const headers = { ...sign({ method: 'GET', path: processesPath() }), 'X-Auth-Token': 'bad' };
    expect((await send({ method: 'GET' }, processesPath(), headers)).status).toBe(401);
  });
});

describe('a signed X-Project-Id', () => {
  it.each([
    [nodeKey.projectId, 200],
    [OTHER_PROJECT, 403],
  ])('must equal the project of the path: %s gets %d', async (projectId, status) => {
    const headers = sign({
      method: 'GET',
      path: processesPath(),
      headers: { 'x-project-id': projectId },
    });
    expect((await send({ method: 'GET' }, processesPath(), headers)).status).toBe(status);
  });
});

describe('a token that IAM cannot validate because it is down', () => {
  it('gets a 503 with Retry-After', async () => {
    iam.fault = (res) => res.writeHead(500).end();
    const res = await send({ method: 'GET' }, processesPath(), { 'X-Auth-Token': 'never-seen' });
    iam.fault = undefined;
    expect([res.status, res.body]).toEqual([
      503,
      {
        error_code: 'APIGW.0613',
        error_msg: 'The IAM service is currently unavailable.',
        request_id: res.headers['x-request-id'],
      },
    ]);
    expect(res.headers['retry-after']).toBe('5');
    expect(service.events.at(-1)).toMatchObject({ level: 'warn' });
  });
});

describe('a refused request', () => {
  it('is logged with its address, the reason and its caller if known, but without its credential', async () => {
    await send({ method: 'GET' }, processesPath(), { 'X-Auth-Token': 'bad-token-4711' });
    const headers = sign({
      method: 'GET',
      path: processesPath(),
      key: { access: 'AKNOBODY', secret: 'x' },
    });
    await send({ method: 'GET' }, processesPath(), headers);
    await send({ method: 'DELETE', body: BODY }, processesPath(), {
      'X-Auth-Token': 'token-without',
    });

    const events = service.events.slice(-3);
    const address: unknown = expect.stringContaining('127.0.0.1');
    expect(events).toMatchObject([
      { level: 'warn', fields: { status: 401, address, reason: 'decrypt token fail' } },
      { level: 'warn', fields: { status: 401, address, reason: 'ak not exist' } },
      {
        level: 'warn',
        fields: {
          status: 403,
          address,
          caller: 'x',
          reason: expect.stringContaining('lacks') as unknown,
        },
      },
    ]);
    expect(JSON.stringify(events)).not.toContain('4711');

    const mistaken = `${processesPath()}?token=secret-4712`;
    const other = sign({
      method: 'GET',
      path: processesPath(),
      headers: { 'x-api-key': 'secret-4713' },
    });
    await send({ method: 'GET' }, mistaken, other);
    const { fields } = service.events.at(-1) ?? {};
    expect(fields).toMatchObject({
      reason: 'verify aksk signature fail',
      claimed_access_key: 'AKEXAM',
    });
    expect(JSON.stringify(fields)).not.toMatch(/471[23]/);
  });
});
