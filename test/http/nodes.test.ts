import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { NO_AUDIT } from '../../src/domain/termination.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey } from '../support/ids.ts';
import { servers, type Server } from '../support/server.ts';
import { createService, TOKEN, type Grant, type ServiceSettings } from '../support/service.ts';
import { ACCESS_KEY, sign } from '../support/sign.ts';
import { until } from '../support/until.ts';

const [server] = servers as [Server];
const { projectId, instanceId, nodeId } = nodeKey;
const OTHER_PROJECT = 'ffffffffffffffffffffffffffffffff';
const OTHER_INSTANCE = 'b23fb62bd61e4e9e9636fd2225f395bein07';
const SECOND = '28663926eacb443d98dc20f8620f28f2no07';
const PATH = `/v3/${projectId}/nodes`;
const LIST = 'gaussdbformysql:instance:listProcesses';

const grant = (actions: Grant['actions'], project = projectId): Grant => ({
  user: 'somebody',
  projectId: project,
  actions,
});
const callers: Readonly<Record<string, Grant>> = {
  'may-list': grant([LIST]),
  'may-end': grant(['gaussdbformysql:instance:deleteProcesses']),
  'may-get': grant(['gaussdb:instance:list']),
  elsewhere: grant(['*'], OTHER_PROJECT),
};

function start(settings: Partial<ServiceSettings> = {}) {
  const nodes = new FakeNodes();
  const registry = [
    { ...fakeNode, instanceId: OTHER_INSTANCE, name: 'third' },
    { ...fakeNode, nodeId: SECOND },
    { ...fakeNode, name: 'orders-primary' },
    { ...fakeNode, nodeId: SECOND.replace('2', '3'), projectId: 'e'.repeat(32), name: 'hidden' },
  ];
  const service = createService({ registry, nodes, callers, ...settings });
  const get = (query = '', token = TOKEN, path = PATH) =>
    request(service.app).get(`${path}${query}`).set('X-Auth-Token', token);
  return { ...service, nodes, get };
}

const FIRST_NODE = { instance_id: instanceId, node_id: nodeId, name: 'orders-primary' };
const SECOND_NODE = { instance_id: instanceId, node_id: SECOND };
const THIRD_NODE = { instance_id: OTHER_INSTANCE, node_id: nodeId, name: 'third' };

describe('the nodes of a project', () => {
  it('are sorted by instance id and node id, and come with names, the caller and the limits', async () => {
    const { get, nodes } = start();
    const answer = await get().expect(200);
    expect(answer.body).toEqual({
      nodes: [FIRST_NODE, SECOND_NODE, THIRD_NODE],
      total_count: 3,
      caller: { user: 'ops', actions: ['listProcesses', 'deleteProcesses', 'get'] },
      reason_required: false,
      audit: false,
      requests_per_minute: 1_000_000,
    });
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
    // The list comes from the registry: it is there while every node is down.
    expect(nodes.connections).toBe(0);
  });

  it('have no hosts, ports and accounts', async () => {
    const { get } = start({
      registry: [
        {
          ...fakeNode,
          name: 'n',
          host: 'secret-host',
          port: 47_111,
          user: 'secret-user',
          password: 'secret-password',
          admin: { host: 'secret-admin', port: 47_112 },
          serverUuid: 'secret-uuid',
          internalUsers: ['secret-internal'],
        },
      ],
    });
    expect((await get().expect(200)).text).not.toMatch(/secret|4711/);
  });

  it('are an empty list if the project has none', async () => {
    const { get } = start();
    const answer = await get('', 'elsewhere', `/v3/${OTHER_PROJECT}/nodes`).expect(200);
    expect(answer.body).toMatchObject({ nodes: [], total_count: 0, caller: { user: 'somebody' } });
  });

  it.each([
    ['?limit=1', [FIRST_NODE]],
    ['?offset=1', [SECOND_NODE, THIRD_NODE]],
    ['?offset=1&limit=1', [SECOND_NODE]],
    ['?offset=3', []],
    ['?offset=99999999999999999999', []],
  ])('come in pages: %s', async (query, shown) => {
    const { get } = start();
    expect((await get(query).expect(200)).body).toMatchObject({ nodes: shown, total_count: 3 });
  });

  it('come with the requirements of the configuration for a kill', async () => {
    const { get } = start({ audit: NO_AUDIT, isReasonRequired: true, requestsPerMinute: 7 });
    expect((await get().expect(200)).body).toMatchObject({
      audit: true,
      reason_required: true,
      requests_per_minute: 7,
    });
  });

  it('come with the actions of the caller only', async () => {
    const { get } = start();
    expect((await get('', 'may-list').expect(200)).body).toMatchObject({
      caller: { user: 'somebody', actions: ['listProcesses'] },
    });
  });

  it('come for a signed request, and without a body for HEAD', async () => {
    const { app } = start({ accessKeys: [ACCESS_KEY] });
    const signed = await request(app)
      .get(PATH)
      .set(sign({ method: 'GET', path: PATH }));
    expect([signed.status, signed.body]).toMatchObject([200, { caller: { user: 'signer' } }]);
    const head = await request(app).head(PATH).set('X-Auth-Token', TOKEN);
    expect([head.status, head.text]).toEqual([200, undefined]);
  });
});

describe('a request for the nodes of a project', () => {
  const cases: readonly [string, string, string, number, string][] = [
    ['without credentials', PATH, '', 401, 'APIGW.0301'],
    ['of a malformed project, without credentials', '/v3/short/nodes', '', 401, 'APIGW.0301'],
    ['of a malformed project', '/v3/short/nodes', TOKEN, 400, 'DBS.200001'],
    ["of another caller's project", PATH, 'elsewhere', 403, 'DBS.200044'],
    ['of a caller that may only end', PATH, 'may-end', 403, 'DBS.200010'],
    ['of a caller that may only read history', `${PATH}?x=1`, 'may-get', 403, 'DBS.200010'],
    ['with limit=0', `${PATH}?limit=0`, TOKEN, 400, 'DBS.280439'],
    ['with limit=101', `${PATH}?limit=101`, TOKEN, 400, 'DBS.280439'],
    ['with offset=-1', `${PATH}?offset=-1`, TOKEN, 400, 'DBS.200001'],
    ['with limit twice', `${PATH}?limit=1&limit=1`, TOKEN, 400, 'DBS.280439'],
    ['with an unknown parameter', `${PATH}?name=orders`, TOKEN, 400, 'DBS.200001'],
    ['with a slash at the end', `${PATH}/`, TOKEN, 404, 'APIGW.0101'],
    ['in capitals', PATH.replace('nodes', 'NODES'), TOKEN, 404, 'APIGW.0101'],
  ];

  it.each(cases)('%s is refused', async (_what, path, token, status, code) => {
    const { get } = start();
    const answer = await get('', token, path).expect(status);
    expect(answer.body).toMatchObject({ error_code: code });
  });

  it('is refused in Chinese if the request asks for Chinese', async () => {
    const { get } = start();
    const answer = await get('?limit=0').set('X-Language', 'zh-cn').expect(400);
    expect(answer.body).toEqual({
      error_code: 'DBS.280439',
      error_msg: '记录数无效，请输入不大于100的正整数。limit必须为1到100的整数，且只能出现一次。',
    });
  });

  it.each(['post', 'put', 'patch', 'delete'] as const)(
    'does not have the method %s',
    async (method) => {
      const { app } = start();
      const { headers } = await request(app)[method](PATH).set('X-Auth-Token', TOKEN).expect(405);
      expect(headers['allow']).toBe('GET, HEAD');
    },
  );
});

describe.each([PATH, `/v3/${projectId}/instances/${instanceId}/nodes/${nodeId}/capabilities`])(
  'a GET of %s',
  (path) => {
    it.each(['DELETE', 'PUT', 'POST'])(
      'that asks for the method %s too is refused, with the methods of this path',
      async (method) => {
        const { get } = start();
        const answer = await get('', TOKEN, path).set('X-HTTP-Method-Override', method);
        expect([answer.status, answer.headers['allow']]).toEqual([405, 'GET, HEAD']);
      },
    );
  },
);

describe('a real service', () => {
  const service = new ServiceProcess();
  const configure = (name: string): void => {
    service.configure(server, 'token', { node: `name: ${name}` });
  };
  beforeAll(() => {
    configure('orders-primary');
    service.start({ NODE_PASSWORD: server.control.password });
  });
  afterAll(() => {
    service.remove();
  });

  it('lists the nodes of its configuration, and those of a new one after a reload', async () => {
    const url = (await service.url()) + PATH;
    const list = async (): Promise<unknown> =>
      (await fetch(url, { headers: { 'X-Auth-Token': 'token' } })).json();
    expect(await list()).toEqual({
      nodes: [FIRST_NODE],
      total_count: 1,
      caller: { user: 'ops', actions: ['listProcesses', 'deleteProcesses', 'get'] },
      reason_required: false,
      audit: false,
      requests_per_minute: 600,
    });
    configure('orders-replica');
    service.signal('SIGHUP');
    await until('it has reloaded', () => service.events('reloaded').length > 0);
    expect(await list()).toMatchObject({ nodes: [{ ...FIRST_NODE, name: 'orders-replica' }] });
  });
});
