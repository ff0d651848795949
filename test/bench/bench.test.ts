import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import type { RowDataPacket } from 'mysql2/promise';
import { chart } from '../../tools/bench/chart.ts';
import { sharesOf, type CpuProfile } from '../../tools/bench/cpu-profile.ts';
import { BenchNode } from '../../tools/bench/node.ts';
import { table } from '../../tools/bench/report.ts';
import { Results } from '../../tools/bench/results.ts';
import { interleave } from '../../tools/bench/rounds.ts';
import { isWhole, readArguments } from '../../tools/bench/settings.ts';
import { until } from '../support/until.ts';
import { judge, summarize } from '../../tools/lib/statistics.ts';

describe('figures', () => {
  it('are the median and the 99th percentile', () => {
    const samples = Array.from({ length: 101 }, (_, index) => 100 - index);
    expect(summarize(samples)).toEqual({ p50: 50, p99: 99, samples: 101 });
  });

  it.each([
    [1.1, { atMost: 1.1, near: 1.25 }, 'met'],
    [1.2, { atMost: 1.1, near: 1.25 }, 'near'],
    [1.3, { atMost: 1.1, near: 1.25 }, 'MISSED'],
    [4.5, { atLeast: 4.5 }, 'met'],
    [4.4, { atLeast: 4.5 }, 'MISSED'],
    [NaN, { atMost: 1 }, 'MISSED'],
    [NaN, { atLeast: 1 }, 'MISSED'],
  ] as const)('of %d with the target %j are judged as %s', (value, aim, verdict) => {
    expect(judge(value, aim)).toBe(verdict);
  });
});

describe('the victims', () => {
  it('stay idle without a statement, and send it otherwise', async () => {
    const node = await BenchNode.start('mariadb', 50);
    try {
      const idle = await node.victims(2);
      const busy = await node.victims(1, 'SELECT SLEEP(600)');
      const sql = 'SELECT id, command FROM information_schema.processlist WHERE user = ?';
      const commands = async (): Promise<unknown> => {
        const [rows] = await node.root.query<RowDataPacket[]>(sql, ['app']);
        return new Map(rows.map(({ id, command }) => [Number(id), String(command)]));
      };
      const expected = new Map([
        ...idle.map((id) => [id, 'Sleep']),
        ...busy.map((id) => [id, 'Query']),
      ] as [number, string][]);
      await until('the victim has sent its statement', async () =>
        isDeepStrictEqual(await commands(), expected),
      );
    } finally {
      await node.stop();
    }
  });
});

describe('the lanes', () => {
  it('run in turns, and the samples of the first round are dropped', async () => {
    const run: string[] = [];
    const lane = (name: string) => ({
      name,
      run: () => {
        run.push(name);
        return Promise.resolve([run.length]);
      },
    });
    const samples = await interleave([lane('A'), lane('B')], 2);
    expect(run).toEqual(['A', 'B', 'A', 'B', 'A', 'B']);
    expect([...samples]).toEqual([
      ['A', [3, 5]],
      ['B', [4, 6]],
    ]);
  });
});

describe('the report', () => {
  const results = new Results();
  results.lane('a', 'MariaDB 10.11', 'service', [1, 2, 3]);
  results.lane('a', 'MariaDB 10.11', 'mysqladmin kill', [11.5]);
  results.figure('a', 'MariaDB 10.11', 'mysqladmin kill / service', 5.75, { atLeast: 4.5 });
  results.note('pt-kill is not on the PATH.');

  it('has each lane, and each figure with its target', () => {
    expect(table(results).split('\n')).toEqual([
      '                  lane             p50      p99      samples',
      'a  MariaDB 10.11  service          2.00 ms  3.00 ms  3',
      '                  mysqladmin kill  11.5 ms  11.5 ms  1',
      '',
      '                  figure                     value  aim',
      'a  MariaDB 10.11  mysqladmin kill / service  5.75   ≥ 4.5  met',
      '',
      'pt-kill is not on the PATH.',
    ]);
  });

  it('has a chart with a bar for each lane', () => {
    const svg = chart(results.lanes);
    expect(svg).toMatch(/^<svg .*<\/svg>$/s);
    for (const text of ['mysqladmin kill', 'MariaDB 10.11', '11.5']) expect(svg).toContain(text);
  });
});

describe('a profile', () => {
  it('shows the shares of the processor time by function, package and user', () => {
    const frame = (id: number, functionName: string, url: string, ...children: number[]) => ({
      id,
      callFrame: { functionName, url, lineNumber: 8 },
      children,
    });
    const profile: CpuProfile = {
      nodes: [
        frame(1, '(idle)', ''),
        frame(4, 'emit', 'node:events'),
        frame(2, 'next', 'file:///x/node_modules/express/lib/router.js'),
        frame(3, 'run', 'file:///x/dist/domain/kill-batch.js', 4),
      ],
      startTime: 1000,
      samples: [2, 1, 2, 4, 2],
      timeDeltas: [100, 900, 300, 100, 5000],
    };
    expect(sharesOf(profile, 1500, 3000)).toEqual({
      functions: [
        { name: 'express: next (lib/router.js:9)', percent: 75 },
        { name: 'node: emit (node:events:9)', percent: 25 },
      ],
      packages: [
        { name: 'express', percent: 75 },
        { name: 'node', percent: 25 },
      ],
      users: [
        { name: 'express', percent: 75 },
        { name: 'ours: domain/kill-batch.js', percent: 25 },
      ],
      busyMs: 0.4,
    });
  });
});

describe('the command line', () => {
  it('runs all measurements by default, and only then saves the results', () => {
    expect(isWhole(readArguments([]))).toBe(true);
    expect(isWhole(readArguments(['--only', 'a,b']))).toBe(false);
    expect(isWhole(readArguments(['--server', 'mysql']))).toBe(false);
  });

  it.each([
    [['--only', 'a,z'], '--only accepts only a, b, c, d, e, f, g, h, i.'],
    [['--rounds', '0'], '--rounds must be an integer above 0.'],
    [['--server', 'tidb'], '--server must be mysql or mariadb.'],
  ])('refuses %j', (args, complaint) => {
    expect(() => readArguments(args)).toThrow(complaint);
  });
});
