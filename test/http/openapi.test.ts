import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { isAlias, isNode, parseDocument, visit } from 'yaml';
import { AuditHistory } from '../../src/audit/audit-history.ts';
import { ERROR_TABLE } from '../../src/http/error-table.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey } from '../support/ids.ts';
import { departures, mismatch, openapi, watched, type Operation } from '../support/openapi.ts';
import { createService, TOKEN } from '../support/service.ts';

const nodes = new FakeNodes();
// The id of the examples.
const shownId = nodes.connect({ id: '2075425' });
const history = new AuditHistory(join(tmpdir(), 'no-such-audit.jsonl'), () => undefined);
const { app } = createService({ registry: [fakeNode], nodes, history });
const rows = Object.values(ERROR_TABLE);

const operations = Object.entries(openapi.paths).flatMap(([template, item]) => {
  const { parameters = [], ...methods } = item;
  const path = template
    .replace('{project_id}', nodeKey.projectId)
    .replace('{instance_id}', nodeKey.instanceId)
    .replace('{node_id}', nodeKey.nodeId)
    .replace('{process_id}', shownId.toString());
  return Object.entries(methods).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${template}`,
    method,
    path: path + requiredQuery(operation),
    parameters,
    operation,
  }));
});

/** The query of the examples of those parameters that must be there. */
function requiredQuery({ parameters = [] }: Operation): string {
  const given = parameters.filter((one) => one.in === 'query' && one.required === true);
  const query = given.map(({ name, example }) => `${name}=${String(example)}`).join('&');
  return query === '' ? '' : `?${query}`;
}

function send(method: string, path: string, token?: string): request.Test {
  const sent = request(app)[method as 'delete'](path);
  if (method === 'post') sent.set('X-HTTP-Method-Override', 'DELETE');
  if (token !== undefined) sent.set('X-Auth-Token', token);
  if (method === 'post' || method === 'delete') {
    return sent.type('application/json').send('{"processes":[1]}');
  }
  return sent;
}

function errorCodes(schema: string): string[] {
  const { error_code } = (openapi.components.schemas[schema] as { properties: Codes }).properties;
  return error_code.enum;
}

interface Codes {
  readonly error_code: { readonly enum: string[] };
}

describe('docs/openapi.yaml', () => {
  it('is served unchanged', async () => {
    const answer = await request(app).get('/openapi.yaml').buffer().parse(asText);
    expect(answer.headers['content-type']).toBe('application/yaml');
    expect(answer.body).toBe(readFileSync('docs/openapi.yaml', 'utf8'));
  });

  it('has no anchor and no alias, which some client generators cannot read', () => {
    const document = parseDocument(readFileSync('docs/openapi.yaml', 'utf8'));
    const found: string[] = [];
    visit(document, (_key, node) => {
      if (isAlias(node)) found.push(`*${node.source}`);
      else if (isNode(node) && node.anchor !== undefined) found.push(`&${node.anchor}`);
    });
    expect([document.errors, found]).toEqual([[], []]);
  });

  describe('for client generators', () => {
    const schemas = [
      ...schemasIn(openapi.paths, 'paths'),
      ...schemasIn(openapi.components.schemas, 'schemas'),
    ];

    it('has many schemas', () => {
      expect(schemas.length).toBeGreaterThan(100);
    });

    it('has a type for each enum and each constant', () => {
      const untyped = schemas.filter(
        ({ schema }) => ('enum' in schema || 'const' in schema) && !('type' in schema),
      );
      expect(untyped.map(({ where }) => where)).toEqual([]);
    });

    it('has no boolean enum or constant, which would become invalid Python', () => {
      const fixed = schemas.filter(
        ({ schema }) => schema['type'] === 'boolean' && ('enum' in schema || 'const' in schema),
      );
      expect(fixed.map(({ where }) => where)).toEqual([]);
    });

    it('has no choice of schemas, because clients keep only the common part', () => {
      const choices = schemas.filter(({ schema }) =>
        ['oneOf', 'anyOf', 'allOf', 'not', 'if'].some((word) => word in schema),
      );
      expect(choices.map(({ where }) => where)).toEqual([]);
    });

    it('has no schema with the name of a built-in type', () => {
      const names = Object.keys(openapi.components.schemas);
      const taken = [
        'Error',
        'Exception',
        'Object',
        'Array',
        'Map',
        'Set',
        'Date',
        'Record',
        'Response',
        'Request',
        'Promise',
        'String',
        'Number',
      ];
      expect(names.filter((name) => taken.includes(name))).toEqual([]);
    });
  });

  it.each(operations)('has $name, which the service answers', async ({ method, path }) => {
    expect((await send(method, path, TOKEN)).status).toBe(200);
  });

  it.each(operations)(
    'states whether $name needs credentials',
    async ({ method, path, operation }) => {
      const isOpen = operation.security?.length === 0;
      expect((await send(method, path)).status).toBe(isOpen ? 200 : 401);
    },
  );

  it('has every error code of the error table, and no other', () => {
    const codes = new Set(rows.map(({ error_code }) => error_code));
    const told = [...errorCodes('ApiError'), ...errorCodes('GatewayError')];
    expect(told.sort()).toEqual([...codes].sort());
    expect(errorCodes('AnyError').sort()).toEqual([...codes].sort());
  });

  it('has every status of the error table for the call that ends sessions, and no other', () => {
    const { delete: call, post } = openapi.paths[
      '/v3/{project_id}/instances/{instance_id}/nodes/{node_id}/processes'
    ] as { delete: Operation; post: Operation };
    const statuses = new Set(['200', ...rows.map(({ status }) => status.toString())]);
    expect(Object.keys(call.responses).sort()).toEqual([...statuses].sort());
    expect(post.responses).toEqual(call.responses);
  });

  it('has the parameters of DELETE for POST, too', () => {
    const item =
      openapi.paths['/v3/{project_id}/instances/{instance_id}/nodes/{node_id}/processes'];
    const [more, ...same] = item?.['post']?.parameters ?? [];
    const shape = ({ name, schema }: (typeof same)[number]): object => ({ name, schema });
    expect(more?.name).toBe('X-HTTP-Method-Override');
    expect(same.map(shape)).toEqual(item?.['delete']?.parameters?.map(shape));
  });

  it('has examples that match their schemas', () => {
    let count = 0;
    const look = (value: unknown, path: string): void => {
      if (typeof value !== 'object' || value === null) return;
      const { schema, example } = value as { schema?: Record<string, unknown>; example?: unknown };
      if (schema !== undefined && example !== undefined) {
        count += 1;
        expect([path, mismatch(schema, example)]).toEqual([path, undefined]);
      }
      for (const [key, part] of Object.entries(value)) look(part, `${path}/${key}`);
    };
    look(openapi.paths, '');
    expect(count).toBeGreaterThan(20);
  });
});

describe('the check of responses against docs/openapi.yaml', () => {
  const answering = (status: number, body: object, headers: Record<string, string> = {}) =>
    watched((_req, res) => {
      res.writeHead(status, {
        'Content-Type': 'application/json',
        'X-Request-Id': '0'.repeat(32),
        ...headers,
      });
      res.end(JSON.stringify(body));
    });
  const path = operations.find(({ method }) => method === 'delete')?.path ?? '';
  const done = { processes_killed: [1], processes_not_found: [] };
  const error = { error_code: 'DBS.200005', error_msg: 'Server failure.' };

  it.each<[string, ReturnType<typeof answering>, string, RegExp | undefined]>([
    ['a documented answer', answering(200, done), path, undefined],
    ['an undocumented field', answering(200, { ...done, more: 1 }), path, /additional/],
    ['a missing field', answering(200, { processes_killed: [1] }), path, /required/],
    ['an id that is text', answering(200, { ...done, processes_killed: ['1'] }), path, /integer/],
    ['an undocumented status', answering(202, done), path, /status is not there/],
    [
      'an undocumented error code',
      answering(500, { ...error, error_code: 'X' }),
      path,
      /const|enum|allowed/,
    ],
    ['a 503 without Retry-After', answering(503, error), path, /without Retry-After/],
    ['an undocumented path', answering(200, done), '/v3/nothing', /path that is not in/],
    [
      'an undocumented query parameter',
      answering(200, done),
      `${path}?force=1`,
      /force is not there/,
    ],
    ['an invalid query parameter', answering(200, done), `${path}?dry_run=1`, /dry_run/],
  ])('handles %s', async (_what, answers, url, wrong) => {
    await request(answers).delete(url).type('application/json').send('{"processes":[1]}');
    const found = departures.splice(0);
    if (wrong === undefined) expect(found).toEqual([]);
    else expect(found).toEqual([expect.stringMatching(wrong)]);
  });

  it('reports an accepted request with an undocumented field', async () => {
    const sent = request(answering(200, done)).delete(path).type('application/json');
    await sent.send('{"processes":[1],"force":true}');
    expect(departures.splice(0)).toEqual([expect.stringMatching(/additional/)]);
  });
});

/** Returns every schema below the value, with its path. */
function schemasIn(
  value: unknown,
  where: string,
): { where: string; schema: Record<string, unknown> }[] {
  if (typeof value !== 'object' || value === null) return [];
  const isSchema = ['type', 'enum', 'const', '$ref', 'oneOf', 'anyOf', 'allOf'].some(
    (word) => word in value,
  );
  const below = Object.entries(value).filter(([key]) => key !== 'example');
  return [
    ...(isSchema ? [{ where, schema: value as Record<string, unknown> }] : []),
    ...below.flatMap(([key, part]) => schemasIn(part, `${where}/${key}`)),
  ];
}

function asText(res: request.Response, done: (error: Error | null, text: string) => void): void {
  let text = '';
  (res as unknown as NodeJS.ReadableStream)
    .on('data', (chunk: Buffer) => (text += chunk.toString('utf8')))
    .on('end', () => {
      done(null, text);
    });
}
