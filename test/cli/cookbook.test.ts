import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'lossless-json';
import { documents } from '../support/documents.ts';
import { nodeKey } from '../support/ids.ts';
import { answer, NO_NODES, ScriptedApi } from '../support/scripted-api.ts';
import { Sessionctl } from '../support/sessionctl.ts';
import { listed } from './sessions.ts';
import { Home } from './home.ts';

const BLOCK = /^```sh\n(.*?)^```$/gms;

/** The shell lines of all documents that begin with sessionctl and end by themselves. */
const lines = documents().flatMap(({ text }) =>
  [...text.matchAll(BLOCK)].flatMap(([, block = '']) =>
    block
      .replaceAll(/\\\n\s*/g, '')
      .split('\n')
      .filter((line) => line.startsWith('sessionctl ')),
  ),
);

const api = new ScriptedApi();
let sessionctl: Sessionctl;
const home = new Home();

beforeAll(async () => {
  const sessions = [
    listed({ id: 2_075_425n, command: 'Sleep', time: 7200, info: '' }),
    listed({ id: 2_075_426n }),
    listed({ id: 2n, user: 'report', time: 7200, info: 'SELECT * FROM orders' }),
    listed({ id: 3n, user: 'batch', time: 7200 }),
    listed({ id: 4n, user: 'leaked_account', state: 'Waiting for table metadata lock' }),
  ];
  const processes = sessions.map((session) => ({
    ...session,
    node: undefined,
    transaction: null,
  }));
  const capabilities = {
    ...{ reachable: true, main_port: 'open', admin_port: 'open', flavour: 'mysql' },
    ...{
      version: '8.4',
      missing_grants: [],
      rollback_view: true,
      second_opinion: true,
      cut_hosts: 0,
    },
  };
  const [holder, waiter] = processes;
  const sources = { row: 'available', metadata: 'available' };
  const root = { is_root: true, waiters: 1, direct_waiters: 1, can_be_killed: true };
  const wait = { id: 2_075_426n, waits_for: 2_075_425n, kind: 'row' };
  const bodies: readonly (readonly [string, object])[] = [
    ['capabilities', capabilities],
    ['kill/history', { killed_sessions: [], total_count: 0, complete: true }],
    ['blockers', { blockers: [{ ...holder, ...root }], waits: [wait], sources }],
    ['processes/', { ...waiter, waits_for: [], blocks: [], sources }],
    ['processes', { processes, total_count: processes.length }],
  ];
  api.acts = [
    (res, request) => {
      const ids = /"processes":(\[[\d,]+\])/.exec(request.body)?.[1] ?? '[]';
      const text =
        request.method === 'DELETE'
          ? `{"processes_killed":${ids},"processes_not_found":[],"processes":[${gone(ids)}]}`
          : stringify(bodies.find(([path]) => request.url.includes(path))?.[1]);
      answer(200, text ?? '')(res, request);
    },
  ];
  api.nodes = NO_NODES;
  await api.start();
  sessionctl = new Sessionctl();
  const nodes = `${nodeKey.nodeId}, ${'1'.repeat(32)}no07`;
  const configuration = `
current: prod
contexts:
  prod:
    endpoint: ${api.endpoint}
    project: ${nodeKey.projectId}
    instance: ${nodeKey.instanceId}
    nodes: [${nodes}]
    credentials: { token: t }
`;
  for (const { folder } of [home, sessionctl]) {
    mkdirSync(join(folder, '.config/sessionctl'), { recursive: true });
    writeFileSync(join(folder, '.config/sessionctl/config.yaml'), configuration, { mode: 0o600 });
  }
});
afterAll(() => {
  api.stop();
  sessionctl.remove();
});

function gone(ids: string): string {
  return ids.replace(/[[\]]/g, '').replace(/\d+/g, '{"id":$&,"outcome":"gone"}');
}

describe('the sessionctl lines in the documents', () => {
  it('are more than a dozen', () => {
    expect(lines.length).toBeGreaterThan(20);
  });

  it.each(lines)('run: %s', async (line) => {
    const environment = {
      EDITOR: 'true',
      SESSIONCTL_NODE: line.includes('--instance-wide') ? '' : nodeKey.nodeId,
      // A line that adds a context must not change the context of the other lines.
      ...(line.startsWith('sessionctl context') && { XDG_CONFIG_HOME: `${home.folder}/another` }),
    };
    // Two documents add the same context, so that each document is complete.
    const typed = line.replace('context add prod', 'context add prod --replace');
    const { code, messages } = await run(typed, environment);
    // The tests have no terminal, so a kill stops at its question.
    const isAsking = code === 64 && messages.includes('There is no terminal to ask on.');
    expect([isAsking ? 0 : code, messages]).toEqual([0, expect.any(String)]);
    expect(messages).not.toMatch(/^sessionctl: (?!There is no terminal)/m);
  });
});

/** Runs a line in this process, which is faster. A line with shell syntax runs in a shell. */
async function run(
  line: string,
  environment: Record<string, string>,
): Promise<{ readonly code: number | null; readonly messages: string }> {
  if (/[|;<>]/.test(line.replace(/'[^']*'/g, ''))) return sessionctl.run(line, environment);
  const split = `sessionctl() { printf '%s\\0' "$@"; }; ${line}`;
  const words = spawnSync('bash', ['-c', split], { encoding: 'utf8' }).stdout.split('\0');
  home.environment = environment;
  return home.run(words.slice(0, -1));
}
