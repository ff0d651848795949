import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import createClient from 'openapi-fetch';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey } from '../support/ids.ts';
import { createService, TOKEN } from '../support/service.ts';

/** A program that uses the generated client. It compiles only if the types fit the answers of the API. */
const PROGRAM = `
import createClient from 'openapi-fetch';
import type { components, paths } from './api.js';

type Path = '/v3/{project_id}/instances/{instance_id}/nodes/{node_id}/processes';
type Failure = paths[Path]['delete']['responses'][500]['content']['application/json'];

export async function end(client: ReturnType<typeof createClient<paths>>, path: { project_id: string; instance_id: string; node_id: string }): Promise<number[]> {
  const { data, error } = await client.DELETE('/v3/{project_id}/instances/{instance_id}/nodes/{node_id}/processes', {
    params: { path, query: { dry_run: 'false' }, header: { 'X-Language': 'en-us' } },
    body: { processes: [1], expected: [{ id: 1, user: 'app' }] },
  });
  if (error === undefined) return data.processes_killed;
  const failure: Failure = error as components['schemas']['TerminationError'];
  const code: 'DBS.200005' = failure.error_code;
  const arrays: (number[] | undefined)[] = [
    failure.processes_killed,
    failure.processes_not_found,
    failure.processes_failed,
    failure.processes_unknown,
  ];
  const dryRun: boolean | undefined = failure.dry_run;
  throw new Error([code, String(dryRun), ...arrays].join());
}

export async function names(client: ReturnType<typeof createClient<paths>>): Promise<(string | undefined)[]> {
  const { data } = await client.GET('/v3/{project_id}/nodes', { params: { path: { project_id: 'p' }, query: { limit: 1 } } });
  const actions: ('listProcesses' | 'deleteProcesses' | 'get')[] = data?.caller.actions ?? [];
  return [...(data?.nodes ?? []).map(({ name }) => name), ...actions];
}

export const unauthorized: components['schemas']['GatewayError']['error_code'] = 'APIGW.0301';
export const wrong: Error = new Error('Error is still what it was');
// @ts-expect-error -- there is no such code
export const none: components['schemas']['AnyError']['error_code'] = 'DBS.1';
`;

describe('a client that openapi-typescript generates', () => {
  const folder = mkdtempSync(join(tmpdir(), 'session-control-generated-'));
  const nodes = new FakeNodes();
  const { app } = createService({ registry: [fakeNode], nodes });
  const server = createServer(app);
  beforeAll(async () => {
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    await once(server.listen(0, '127.0.0.1'), 'listening');
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true });
  });

  function run(program: string, ...words: readonly string[]): readonly [number | null, string] {
    const { status, stdout, stderr } = spawnSync(process.execPath, [resolve(program), ...words], {
      cwd: folder,
      encoding: 'utf8',
    });
    return [status, stdout + stderr];
  }

  it('has a type for every response', () => {
    const source = pathToFileURL(resolve('docs/openapi.yaml')).href;
    const [made, messages] = run(
      'node_modules/openapi-typescript/bin/cli.js',
      source,
      '-o',
      'api.ts',
    );
    expect([made, messages]).toEqual([0, expect.any(String)]);
    writeFileSync(join(folder, 'program.ts'), PROGRAM);
    const options = [
      '--strict',
      '--noEmit',
      '--target',
      'es2023',
      '--module',
      'node20',
      '--lib',
      'es2023,dom',
    ];
    expect(run('node_modules/typescript/bin/tsc', ...options, 'program.ts')).toEqual([0, '']);
  });

  it('has the four arrays of a 500 after a partial kill', async () => {
    const [killed, refused] = [nodes.connect(), nodes.connect()];
    nodes.faults.set(refused, 'refused');
    const { port } = server.address() as AddressInfo;
    const client = createClient<ThePaths>({ baseUrl: `http://127.0.0.1:${port}` });
    const { projectId, instanceId, nodeId } = nodeKey;
    const { error, response } = await client.DELETE(
      '/v3/{project_id}/instances/{instance_id}/nodes/{node_id}/processes',
      {
        params: { path: { project_id: projectId, instance_id: instanceId, node_id: nodeId } },
        headers: { 'X-Auth-Token': TOKEN },
        body: { processes: [Number(killed), Number(refused), 7] },
      },
    );
    expect([response.status, error]).toEqual([
      500,
      {
        error_code: 'DBS.200005',
        error_msg: expect.stringContaining(
          '1 killed, 1 not found, 1 failed, 0 unknown.',
        ) as unknown,
        processes_killed: [Number(killed)],
        processes_not_found: [7],
        processes_failed: [Number(refused)],
        processes_unknown: [],
      },
    ]);
  });
});

/** The part of the generated types that the second test needs. */
interface ThePaths {
  '/v3/{project_id}/instances/{instance_id}/nodes/{node_id}/processes': {
    delete: {
      parameters: { path: { project_id: string; instance_id: string; node_id: string } };
      requestBody: { content: { 'application/json': { processes: number[] } } };
      responses: {
        200: { content: { 'application/json': object } };
        500: { content: { 'application/json': object } };
      };
    };
  };
}
