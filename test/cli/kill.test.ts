import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ServerResponse } from 'node:http';
import { stringify } from 'lossless-json';
import { Interrupted } from '../../src/cli/failures.ts';
import { exitCodeOf, type KillReport } from '../../src/cli/kill-report.ts';
import { planKill } from '../../src/cli/kill-plan.ts';
import type { Outcome } from '../../src/client/index.ts';
import { answer, NO_NODES, ScriptedApi, type Came } from '../support/scripted-api.ts';
import { until } from '../support/until.ts';
import { listed, SLOW_PATTERN, SLOW_TEXT } from './sessions.ts';
import { Home } from './home.ts';

const api = new ScriptedApi();
const home = new Home();
const SESSIONS = [
  listed({ id: 7n }),
  listed({ id: 8n, user: 'report', host: '10.0.0.5:1', time: 400 }),
  listed({ id: 9_007_199_254_740_993n, command: 'Sleep', info: '' }),
];

let onDelete: (res: ServerResponse, request: Came) => void;
beforeAll(async () => {
  api.nodes = NO_NODES;
  await api.start();
  home.environment = {
    SESSIONCTL_ENDPOINT: api.endpoint,
    SESSIONCTL_PROJECT: 'p',
    SESSIONCTL_INSTANCE: 'i',
    SESSIONCTL_NODE: 'n1',
    SESSIONCTL_TOKEN: 'tok',
  };
});
beforeEach(() => {
  api.came.splice(0);
  onDelete = (res, request) => {
    answer(200, `{"processes_killed":${idsIn(request)},"processes_not_found":[]}`)(res, request);
  };
  api.acts = [
    (res, request) => {
      if (request.method === 'DELETE') {
        onDelete(res, request);
        return;
      }
      const processes = SESSIONS.map((session) => ({ ...session, node: undefined }));
      answer(200, stringify({ processes, total_count: SESSIONS.length }) ?? '')(res, request);
    },
  ];
});
afterAll(() => {
  api.stop();
});

function idsIn({ body }: Came): string {
  return /"processes":(\[[\d,]+\])/.exec(body)?.[1] ?? '[]';
}

function deletes(): Came[] {
  return api.came.filter(({ method }) => method === 'DELETE');
}

describe('a kill', () => {
  it('sends the shown user and host of each session, a reason and a key', async () => {
    const { code, messages } = await home.run([
      'kill',
      '--yes',
      '7',
      '9007199254740993',
      '--reason',
      'why',
    ]);
    expect(code).toBe(0);
    expect(messages).toMatch(/^ +ID +USER/);
    expect(messages).toMatch(/^Request id: f{32}$/m);
    expect(deletes()).toMatchObject([
      {
        body: '{"processes":[7,9007199254740993],"expected":[{"id":7,"host":"10.0.0.4:51234","user":"app"},{"id":9007199254740993,"host":"10.0.0.4:51234","user":"app"}]}',
        headers: {
          'x-kill-reason': 'why',
          'idempotency-key': expect.stringMatching(/^[0-9a-f-]{36}-0$/),
        },
      },
    ]);
  });

  it.each([
    [['--user', 'report'], '[8]'],
    [['--min-time', '5m'], '[8]'],
    [['--command', 'sleep'], '[9007199254740993]'],
    [['--user', 'app', '--command', 'query'], '[7]'],
    [['7', '8', '--user', 'report'], '[8]'],
    [['--all'], '[7,8,9007199254740993]'],
  ])('with the flags %j ends %s', async (words, ids) => {
    await home.run(['kill', '--yes', ...words]);
    expect(deletes().map(idsIn)).toEqual([ids]);
  });

  it('does not send ids that are not listed or that the filters exclude: 3', async () => {
    const { code, output } = await home.run(['kill', '--yes', '99', '7', '--user', 'report']);
    expect(code).toBe(3);
    expect(output).toBe(`0 killed, 2 not found.
Not found: 99, no session has this id
Not found: 7, the filters exclude it
`);
    expect(deletes()).toEqual([]);
  });

  it('whose cost is unknown reports that, and needs no --force', async () => {
    const sources = { transaction: 'The control account lacks PROCESS.' };
    api.acts = [
      (res, request) => {
        if (request.method === 'DELETE') onDelete(res, request);
        else {
          const processes = [{ ...listed({ id: 7n }), node: undefined }];
          answer(200, stringify({ processes, total_count: 1, sources }) ?? '')(res, request);
        }
      },
    ];
    const { code, messages } = await home.run(['kill', '--yes', '7', '--max-rollback-rows', '1']);
    const filtered = await home.run(['kill', '--yes', '--in-transaction']);

    expect([code, deletes().map(idsIn)]).toEqual([0, ['[7]']]);
    expect(messages).toContain(
      'Rows to undo: not known.\nTransactions are not shown by node n1: The control account lacks PROCESS.\n',
    );
    expect([filtered.code, filtered.messages]).toEqual([
      1,
      'sessionctl: --in-transaction needs the transactions. Not shown by node n1: The control account lacks PROCESS.\n',
    ]);
  });

  it('whose filter takes longer than 5 s ends no session: 64', async () => {
    SESSIONS.push(listed({ id: 10n, info: SLOW_TEXT }));
    const { code, messages } = await home.run(['kill', '--yes', '--info', SLOW_PATTERN]);
    SESSIONS.pop();
    expect([code, messages]).toEqual([
      64,
      expect.stringContaining('The filters take longer than 5 s: no session was ended.'),
    ]);
    expect(deletes()).toEqual([]);
  });

  it('that matches no session exits with 0', async () => {
    const { code, messages } = await home.run(['kill', '--yes', '--user', 'nobody']);
    expect([code, messages]).toEqual([0, 'No session matches: no session was ended.\n']);
  });

  it('reports a session that it skipped because it had changed: 3', async () => {
    onDelete = answer(200, '{"processes_killed":[7],"processes_not_found":[8]}');
    const { code, output } = await home.run(['kill', '--yes', '7', '8']);
    expect(code).toBe(3);
    expect(output).toContain(
      'Skipped, because it has ended or changed: 8 report@10.0.0.5:1, shop, 6m40s',
    );
  });

  it('reports failed and unknown sessions with the cause: 4', async () => {
    onDelete = answer(
      500,
      '{"error_code":"DBS.200005","error_msg":"Server failure.\\u001b[2J","processes_killed":[],"processes_not_found":[],"processes_failed":[7],"processes_unknown":[8]}',
    );
    const { code, output } = await home.run(['kill', '--yes', '7', '8']);
    expect(code).toBe(4);
    expect(output).toBe(`0 killed, 0 not found, 1 failed, 1 unknown.
Not killed: 7 app@10.0.0.4:51234, shop, 12s
Outcome unknown: 8 report@10.0.0.5:1, shop, 6m40s
Server failure.\\x1b[2J
`);
  });

  it('that is interrupted reports the outcomes that are known: 130', async () => {
    const interrupt = new AbortController();
    onDelete = () => undefined;
    const killing = home.run(['kill', '--yes', '7'], { signal: interrupt.signal });
    await until('the kill is sent', () => deletes().length === 1);
    interrupt.abort(new Interrupted());
    const { code, output } = await killing;
    expect(code).toBe(130);
    expect(output).toContain('Outcome unknown: 7 app@10.0.0.4:51234');
  });

  it('that is interrupted while it reads the list ends no session: 130', async () => {
    const interrupt = new AbortController();
    api.acts = [() => undefined];
    const killing = home.run(['kill', '--yes', '7'], { signal: interrupt.signal });
    await until('the list is asked for', () => api.came.length === 1);
    interrupt.abort(new Interrupted());
    expect(await killing).toMatchObject({
      code: 130,
      messages: expect.stringContaining('no session was ended'),
    });
  });

  it('is sent again under the same key if the first attempt gets no response', async () => {
    const proper = onDelete;
    onDelete = (res) => {
      res.socket?.destroy();
      onDelete = proper;
    };
    expect((await home.run(['kill', '--yes', '7'])).code).toBe(0);
    const keys = deletes().map(({ headers }) => headers['idempotency-key']);
    expect([keys.length, new Set(keys).size]).toEqual([2, 1]);
  });

  it('on several nodes sends each node only the ids of its own sessions', async () => {
    const nodes = ['--node', 'n1', '--node', 'n2'];
    const ambiguous = await home.run(['kill', '--yes', '7', ...nodes]);
    expect([ambiguous.code, ambiguous.messages]).toEqual([64, expect.stringContaining('NODE/ID')]);

    const { code } = await home.run(['kill', '--yes', '-', ...nodes], { input: 'n2/7\nn1/8\n' });

    expect(code).toBe(0);
    expect(
      deletes()
        .map((request) => [/nodes\/(\w+)/.exec(request.url)?.[1], idsIn(request)].join(' '))
        .sort(),
    ).toEqual(['n1 [8]', 'n2 [7]']);
  });

  it('reports the killed sessions of one node if another node fails: 4', async () => {
    const proper = onDelete;
    onDelete = (res, request) => {
      if (request.url.includes('/n2/')) {
        answer(500, '{"error_code":"DBS.200005","error_msg":"The node is gone."}')(res, request);
      } else proper(res, request);
    };
    const { code, output } = await home.run([
      ...['kill', '--yes', '--user', 'report', '--node', 'n1', '--node', 'n2'],
    ]);
    expect(code).toBe(4);
    expect(output).toMatch(
      /^1 killed, 0 not found, 1 failed\.\nNot killed: 8 report@10\.0\.0\.5:1 on n2/,
    );
    expect(output).toContain('The node is gone.');
  });

  it.each([
    ['gone if the node has listed its rollback', 'Rollback', '1 killed (1 gone)'],
    ['still rolling back if the node has not', undefined, '1 killed (1 rolling back)'],
  ])(
    'of a session that leaves the list after the wait reports it as %s',
    async (_name, state, count) => {
      const [before] = SESSIONS;
      let looks = 0;
      const list = () => {
        looks += 1;
        // The first list is the one that is shown, and the second one is read during the rollback.
        if (looks === 1) return [before];
        return looks === 2 && state !== undefined ? [{ ...before, command: 'Killed', state }] : [];
      };
      api.acts = [
        (res, request) => {
          const processes = request.method === 'GET' ? list() : [];
          const text =
            request.method === 'DELETE'
              ? '{"processes_killed":[7],"processes_not_found":[],"processes":[{"id":7,"outcome":"rolling_back"}]}'
              : stringify({ processes, total_count: processes.length });
          answer(200, text ?? '')(res, request);
        },
      ];
      const { code, output } = await home.run(['kill', '--yes', '7', '--wait', '10s']);
      expect([code, output.split(',')[0]]).toEqual([0, count]);
    },
  );

  it('that is a dry run names the sessions that the node protects: 4', async () => {
    const message =
      'Server failure. 1 killed, 0 not found, 1 failed, 0 unknown. Failed: 8. Protected.';
    let asked: string | undefined;
    onDelete = (res, request) => {
      asked = `${request.url.replace(/^.*\?/, '')} ${String(request.headers['prefer'])}`;
      answer(
        500,
        `{"error_code":"DBS.200005","error_msg":"${message}","processes_killed":[7],"processes_not_found":[],"processes_failed":[8],"processes_unknown":[],"dry_run":true,"processes":[{"id":7,"outcome":"would_kill"},{"id":8,"outcome":"failed"}]}`,
      )(res, request);
    };
    const dry = await home.run(['kill', '--dry-run', '7', '8']);
    expect(asked).toBe('dry_run=true return=representation');
    expect(dry.code).toBe(4);
    expect(dry.output).toMatch(
      /^1 would be killed, 0 not found, 1 failed\.\nWould not be killed: 8 .*\nServer failure\. .* Protected\.\n$/,
    );

    const { output } = await home.run(['kill', '--dry-run', '7', '8', '-o', 'json']);
    expect(JSON.parse(output)).toMatchObject({
      dry_run: true,
      sessions: [
        { id: 7, outcome: 'would_kill' },
        { id: 8, outcome: 'failed' },
      ],
      troubles: [message],
    });
  });

  it('continues without a node whose list cannot be read, and reports the node: 4', async () => {
    const [proper] = api.acts;
    api.acts = [
      (res, request) => {
        if (request.url.includes('/n2/')) {
          answer(500, '{"error_code":"DBS.200005","error_msg":"n2 is gone."}')(res, request);
        } else proper?.(res, request);
      },
    ];
    const nodes = ['--node', 'n1', '--node', 'n2'];
    const { code, output, messages } = await home.run(['kill', '--yes', 'n1/7', 'n2/7', ...nodes]);
    expect(code).toBe(4);
    expect(messages).toContain('sessionctl: node n2: n2 is gone.');
    expect(output).toBe(`1 killed, 0 not found, 1 failed.
Not killed: 7 on n2, the list of the node could not be read
`);

    const dry = await home.run(['kill', '--all', '--dry-run', '-o', 'json', ...nodes]);
    expect(dry.code).toBe(4);
    expect(JSON.parse(dry.output)).toMatchObject({
      troubles: [expect.stringMatching(/^node n2: n2 is gone\./)],
    });

    const list = await home.run(['list', '-o', 'ids', ...nodes]);

    expect([list.code, list.output]).toEqual([4, 'n1/7\nn1/8\nn1/9007199254740993\n']);
  });

  it('accounts for the ids of a node that fails: 4', async () => {
    onDelete = answer(500, '{"error_code":"DBS.200005","error_msg":"Server failure."}');
    const { code, output } = await home.run(['kill', '--yes', '7']);
    expect(code).toBe(4);
    expect(output).toMatch(
      /^0 killed, 0 not found, 1 failed\.\nNot killed: 7 app@.*\nServer failure\./,
    );
  });

  it('that the service refuses ends no session and names the missing flag: 1', async () => {
    const message =
      'Parameter error. The header X-Kill-Reason must be 1 to 256 visible characters.';
    onDelete = answer(400, `{"error_code":"DBS.200001","error_msg":"${message}"}`);
    const { code, output, messages } = await home.run(['kill', '--yes', '7']);
    expect([code, output]).toEqual([1, '']);
    expect(messages).toMatch(
      /X-Kill-Reason .* \(status 400, .*\) Give a reason with --reason\.\n$/,
    );
  });

  it.each([
    [404, 500],
    [500, 404],
  ])(
    'that fails on each of two nodes accounts for all ids: 4, with %d and %d',
    async (...statuses) => {
      onDelete = (res, request) => {
        const status = request.url.includes('/n1/') ? statuses[0] : statuses[1];
        answer(status, '{"error_code":"DBS.2","error_msg":"In vain."}')(res, request);
      };
      const nodes = ['--node', 'n1', '--node', 'n2'];
      const { code, output } = await home.run(['kill', '--yes', 'n1/7', 'n2/7', ...nodes]);
      expect([code, output]).toEqual([
        4,
        expect.stringMatching(/^0 killed, 0 not found, 2 failed\./),
      ]);
    },
  );

  it('waits with several requests if the limit of the service is below --wait', async () => {
    let sent = 0;
    onDelete = (res, request) => {
      sent += 1;
      const outcome = sent < 3 ? 'rolling_back' : 'gone';
      answer(
        200,
        `{"processes_killed":[7],"processes_not_found":[],"processes":[{"id":7,"outcome":"${outcome}"}]}`,
        { 'Preference-Applied': 'wait=1, return=representation' },
      )(res, request);
    };
    const { code, output } = await home.run(['kill', '--yes', '7', '--wait', '30s']);
    expect([code, output]).toEqual([0, '1 killed (1 gone), 0 not found.\n']);
    expect(sent).toBe(3);
  });
});

describe('a rollback that continues', () => {
  const rolling = async (rest: string, ...args: string[]) => {
    onDelete = answer(
      200,
      `{"processes_killed":[7],"processes_not_found":[],"processes":[{"id":7,"outcome":"rolling_back"${rest}}]}`,
      { 'Preference-Applied': 'wait=1, return=representation' },
    );
    return home.run(['kill', '--yes', '7', '--wait', '1s', ...args]);
  };

  it.each([
    ['the rest of it', ',"rows_left":120000,"seconds_left":65', '; 120 K rows left, about 1m05s'],
    ['only the rows if the time is unknown', ',"rows_left":120000', '; 120 K rows left'],
    ['nothing if both are unknown', '', ''],
  ])('shows %s', async (_what, rest, shown) => {
    const { output } = await rolling(rest);
    expect(output).toMatch(/Still rolling back: .*/);
    const [line = ''] = /Still rolling back: .*/.exec(output) ?? [];
    expect(line.endsWith(`, 12s${shown}`)).toBe(true);
  });

  it('has the numbers in the JSON too', async () => {
    const { output } = await rolling(',"rows_left":120000,"seconds_left":65', '-o', 'json');
    expect(JSON.parse(output)).toMatchObject({
      sessions: [{ id: 7, outcome: 'rolling_back', rows_left: 120_000, seconds_left: 65 }],
    });
  });
});

describe('the exit code of a kill', () => {
  const report = (outcomes: readonly Outcome[], more: Partial<KillReport> = {}): KillReport => ({
    results: outcomes.map((outcome) => ({ session: listed(), outcome })),
    missing: [],
    isDryRun: false,
    isNodeShown: false,
    scope: 'session',
    nodes: [],
    isInterrupted: false,
    isPartial: false,
    troubles: [],
    requestIds: [],
    ...more,
  });
  const missing = [{ node: 'n', id: 1n, why: 'not_listed' as const }];

  it.each<[string, KillReport, number]>([
    ['all sessions were killed', report(['killed', 'gone', 'rolling_back']), 0],
    ['there was no session', report([]), 0],
    ['a session was not found', report(['gone', 'not_found']), 3],
    ['an id was not listed', report(['gone'], { missing }), 3],
    ['a session failed', report(['gone', 'not_found', 'failed'], { missing }), 4],
    ['a session is unknown', report(['unknown']), 4],
    ['a list could not be read', report(['gone'], { isPartial: true }), 4],
    ['a dry run found no session', report(['not_found'], { missing, isDryRun: true }), 0],
    ['a session would fail in a dry run', report(['failed'], { isDryRun: true }), 4],
    [
      'a list could not be read in a dry run',
      report(['killed'], { isDryRun: true, isPartial: true }),
      4,
    ],
    ['the kill was interrupted', report(['gone'], { isInterrupted: true }), 130],
  ])('is right if %s', (_name, of, code) => {
    expect(exitCodeOf(of)).toBe(code);
  });
});

describe('the plan of a kill', () => {
  it('has an id that is given twice only once, on its node', () => {
    const ids = [
      { node: undefined, id: 7n },
      { node: 'no1', id: 7n },
    ];
    const all = [{ projectId: 'p', instanceId: 'i', nodeId: 'no1' }];
    const plan = planKill([listed({ id: 7n })], { all, unread: [] }, ids, () => true);
    expect(plan).toEqual({ sessions: [listed({ id: 7n })], missing: [] });
  });
});
