import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { obtainPromtool } from '../tools/program.ts';
import { openSession } from './support/client-session.ts';
import { processesPath } from './support/ids.ts';
import { itNeeds } from './support/needs.ts';
import { scrape, type Scrape } from './support/scrape.ts';
import { servers, type Server } from './support/server.ts';
import { ServiceProcess } from './support/service-process.ts';

const TOKEN = 'token-of-the-deploy-test';
const [server] = servers as [Server];
const FOLDER = 'deploy/prometheus';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly runbook: string };
}

interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string }[];
}

interface Workflow {
  readonly on: object;
  readonly permissions: object;
  readonly jobs: Readonly<Record<string, Job>>;
}

interface Job {
  readonly permissions?: object;
  readonly container: object;
  readonly strategy: { readonly matrix: { readonly node: readonly number[] } };
  readonly steps: readonly object[];
}

interface Renovate {
  readonly packageRules: readonly {
    readonly matchPackageNames?: readonly string[];
    readonly automerge?: boolean;
  }[];
}

interface Form {
  readonly body?: readonly {
    readonly id?: string;
    readonly validations?: { readonly required: boolean };
  }[];
}

const { groups } = parseYaml(readFileSync(`${FOLDER}/rules.yaml`, 'utf8')) as {
  groups: readonly { readonly rules: readonly Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);
const dashboard = readFileSync('deploy/grafana/session-control.json', 'utf8');
const { panels } = JSON.parse(dashboard) as { panels: readonly Panel[] };
const expressions = [
  ...rules.map(({ alert, expr }) => ({ where: alert, expr })),
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ where: title, expr }))),
];

const promtool = await obtainPromtool().catch((error: unknown) => error as Error);
function withPromtool(name: string, test: () => void): void {
  itNeeds(typeof promtool === 'string' ? undefined : promtool.message, name, test);
}

/** Runs promtool; returns its exit code and everything that it wrote. */
function check(arguments_: readonly string[], input = ''): readonly [number | null, string] {
  const { status, stdout, stderr } = spawnSync(String(promtool), arguments_, {
    input,
    encoding: 'utf8',
    cwd: FOLDER,
  });
  return [status, stdout + stderr];
}

const service = new ServiceProcess();
let found: Scrape;
beforeAll(async () => {
  service.configure(server, TOKEN, {
    service: 'metrics: { port: 0 }\naudit: { file: audit.jsonl }',
  });
  service.start({ NODE_PASSWORD: server.control.password });
  const url = await service.url();
  const session = await openSession(server);
  const response = await fetch(url + processesPath(), {
    method: 'DELETE',
    headers: { 'X-Auth-Token': TOKEN, 'Content-Type': 'application/json' },
    body: `{"processes":[${session.id}]}`,
  });
  expect(response.status).toBe(200);
  session.close();
  const port = String(service.events('listening for metrics')[0]?.['port']);
  found = await scrape(`http://127.0.0.1:${port}`);
});
afterAll(() => {
  service.remove();
});

describe('a metric that an alert or the dashboard queries', () => {
  it.each(expressions)('exists: $where', ({ expr }) => {
    const selectors = [
      ...expr.matchAll(/\b((?:session_control|nodejs|process)_\w+)(?:\{([^}]*)\})?/g),
    ];
    // Prometheus itself adds `up`.
    expect(selectors.length > 0 || /\bup\b/.test(expr)).toBe(true);
    for (const [, name = '', matchers = ''] of selectors) {
      const series = [...found.series.keys()].filter((key) => key.split('{', 1)[0] === name);
      expect([name, series.length > 0]).toEqual([name, true]);
      for (const [, label = '', operator, value = ''] of matchers.matchAll(
        /(\w+)(=~|!=|=)"([^"]*)"/g,
      )) {
        // Prometheus adds `job` and `instance`; a status appears only after a response with it.
        if (['job', 'instance'].includes(label) || (label === 'status' && operator === '=~'))
          continue;
        const wanted = operator === '=~' ? value.split('|') : [value];
        for (const each of wanted) {
          expect(series.filter((key) => key.includes(`${label}="${each}"`))).not.toEqual([]);
        }
      }
      const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, by = '']) =>
        by.split(/, */),
      );
      for (const label of grouped.filter((by) => by !== 'instance')) {
        expect(series.filter((key) => key.includes(`${label}="`))).not.toEqual([]);
      }
    }
  });
});

describe('an alert', () => {
  const operations = readFileSync('docs/operations.md', 'utf8');
  it.each(rules)('$alert has its explanation at its runbook link', ({ alert, annotations }) => {
    expect(annotations.runbook).toBe(`docs/operations.md#${alert.toLowerCase()}`);
    expect(operations).toMatch(new RegExp(`^### ${alert}$`, 'm'));
  });

  it('exists if the document on operations explains it', () => {
    const explained = [...operations.matchAll(/^### (SessionControl\w+)$/gm)].map(
      ([, name]) => name,
    );
    expect(explained).toEqual(rules.map(({ alert }) => alert));
  });
});

describe('promtool', () => {
  withPromtool('reports no problem in a live scrape', () => {
    expect(check(['check', 'metrics'], found.text)).toEqual([0, '']);
  });

  withPromtool('accepts the rules and the scrape configuration', () => {
    const [status, output] = check(['check', 'config', 'scrape.yaml']);
    expect([status, output]).toEqual([0, expect.stringContaining(`${rules.length} rules found`)]);
  });

  withPromtool('sees each tested alert fire in its test case only', () => {
    expect(check(['test', 'rules', 'rules.test.yaml'])[0]).toBe(0);
  });

  withPromtool('accepts every expression of the dashboard', () => {
    const file = join(service.folder, 'expressions.yaml');
    const records = panels
      .flatMap(({ targets }) => targets)
      .map(({ expr }, index) => ({
        record: `panel:${index}`,
        expr: expr.replaceAll('$__rate_interval', '1m'),
      }));
    // JSON is YAML.
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: records }] }));
    const [status, output] = check(['check', 'rules', file]);
    expect([status, output]).toEqual([0, expect.stringContaining(`${records.length} rules found`)]);
  });
});

describe('the settings for GitHub', () => {
  const workflow = readFileSync('.github/workflows/ci.yml', 'utf8');
  const ci = parseYaml(workflow) as Workflow;

  it('run the whole gate on each supported version of Node.js, as root on Debian', () => {
    const [gate, ...others] = Object.values(ci.jobs);
    expect(others).toEqual([]);
    expect(gate?.strategy.matrix.node).toEqual([20, 22, 24]);
    expect(gate?.container).toEqual({
      image: 'node:${{ matrix.node }}-bookworm',
      options: '--user root',
    });
    expect(gate?.steps.at(-1)).toEqual({ run: '.ci/run' });
    expect(Object.keys(ci.on).sort()).toEqual(['pull_request', 'push']);
  });

  it('give a run read access only, and pin each action to a commit', () => {
    expect([ci.permissions, ...Object.values(ci.jobs).map((job) => job.permissions)]).toEqual([
      { contents: 'read' },
      undefined,
    ]);
    const actions = [...workflow.matchAll(/uses: *(.*)/g)].map(([, action]) => action);
    expect(actions).not.toEqual([]);
    for (const action of actions) expect(action).toMatch(/^[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it.each(['mysql2', 'express', 'swagger-ui-dist'])(
    'never merge an update of %s automatically',
    (name) => {
      const renovate = JSON.parse(readFileSync('.github/renovate.json', 'utf8')) as Renovate;
      expect(renovate).not.toHaveProperty('automerge');
      const rules = renovate.packageRules.filter(({ automerge }) => automerge !== undefined);
      // The last matching rule applies.
      expect(rules.at(-1)?.automerge).toBe(false);
      expect(rules.at(-1)?.matchPackageNames).toContain(name);
    },
  );

  it('ask a bug report for the steps that show the fault', () => {
    const folder = '.github/ISSUE_TEMPLATE';
    const forms = readdirSync(folder)
      .sort()
      .map((file) => [file, parseYaml(readFileSync(join(folder, file), 'utf8')) as Form] as const);
    expect(forms.map(([file]) => file)).toEqual(['bug.yml', 'config.yml', 'feature.yml']);
    const required = forms.map(([, { body = [] }]) =>
      body.filter(({ validations }) => validations?.required === true).map(({ id }) => id),
    );
    expect(required).toEqual([
      ['version', 'server', 'steps', 'expected', 'actual'],
      [],
      ['problem', 'proposal'],
    ]);
  });

  it('use the Node.js version of the image', () => {
    const [, version] = /^FROM node:(\d+)/m.exec(readFileSync('Dockerfile', 'utf8')) ?? [];
    expect(readFileSync('.nvmrc', 'utf8')).toBe(`${version}\n`);
  });
});
