import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey } from '../support/ids.ts';
import { nodePath } from '../support/reads.ts';
import { createService, type Grant } from '../support/service.ts';

const may = (action: 'listProcesses' | 'deleteProcesses'): Grant => ({
  user: action,
  projectId: nodeKey.projectId,
  actions: [`gaussdb:instance:${action}`],
});

describe.each(['processes?with=transaction', 'processes/77', 'summary'])('GET …/%s', (rest) => {
  const nodes = new FakeNodes();
  nodes.connect({ id: '77' });
  const { app } = createService({
    registry: [fakeNode],
    nodes,
    callers: { lists: may('listProcesses'), kills: may('deleteProcesses') },
  });
  const send = (path: string, token = 'lists', method: 'get' | 'head' | 'put' = 'get') =>
    request(app)[method](path).set('X-Auth-Token', token);

  it('needs the action listProcesses and no other', async () => {
    expect((await send(nodePath(rest))).status).toBe(200);
    const refused = await send(nodePath(rest), 'kills');
    expect([refused.status, refused.body]).toMatchObject([403, { error_code: 'DBS.200010' }]);
    expect((await send(nodePath(rest), 'nobody')).status).toBe(401);
  });

  it.each<[string, (path: string) => string, number, string]>([
    [
      'another project before a malformed node',
      (path) => path.replace('619d', '719d').replace(/no07/, 'no08'),
      403,
      'DBS.200044',
    ],
    [
      'a malformed node before the query',
      (path) => path.replace(/no07/, 'no08'),
      400,
      'DBS.280404',
    ],
    ['the query before an unknown node', (path) => unknownNode(withQuery(path)), 400, 'DBS.200001'],
    ['an unknown node', (path) => unknownNode(path), 404, 'DBS.290013'],
    ['an unknown parameter', withQuery, 400, 'DBS.200001'],
  ])('checks in the order of all calls: %s', async (_, change, status, code) => {
    const answer = await send(change(nodePath(rest)));
    expect([answer.status, answer.body]).toMatchObject([status, { error_code: code }]);
  });

  it('has HEAD, and no other method', async () => {
    const head = await send(nodePath(rest), 'lists', 'head');
    expect([head.status, head.text]).toEqual([200, undefined]);
    const put = await send(nodePath(rest), 'lists', 'put');
    expect([put.status, put.headers['allow']]).toEqual([405, expect.stringMatching(/GET, HEAD/)]);
  });

  it('fails as the node does', async () => {
    nodes.isReachable = false;
    const answer = await send(nodePath(rest)).set('X-Language', 'zh-cn');
    nodes.isReachable = true;
    expect([answer.status, answer.body]).toMatchObject([
      500,
      { error_code: 'DBS.200005', error_msg: expect.stringMatching(/^服务器错误/) },
    ]);
  });
});

function withQuery(path: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}force=1`;
}

function unknownNode(path: string): string {
  return path.replace('1866', '2866');
}
