import { describe, expect, it } from '@jest/globals';
import { evidenceOf } from '../../tools/torture/evidence.ts';
import type { Thread } from '../../tools/torture/history.ts';
import { Story } from './story.ts';

const WORKER: Thread = { id: 5n, user: 'app', host: '%', command: 'Connect', state: 'User sleep' };
const DUMP: Thread = { id: 6n, user: 'copier', host: 'a:1', command: 'Binlog Dump', state: '' };
const OURS: Thread = { id: 7n, user: 'control', host: 'a:2', command: 'Query', state: '' };

describe('a session that died', () => {
  it('may have been in a request of its incarnation', () => {
    const story = new Story().session(100, 20).asks(200, 1, [20n]).ended(210, 20);
    expect(story.answers(220, 1, { killed: [20n] }).broken()).toEqual([]);
  });

  it('may have been in a request that got no response', () => {
    const story = new Story().session(100, 20).asks(200, 1, [20n]).ended(210, 20);
    story.of(220, { what: 'service is killed' });
    expect(story.on(221, { what: 'no answer', operation: 1, reason: 'reset' }).broken()).toEqual(
      [],
    );
  });

  it('may have ended with its server, or been closed by its client', () => {
    const story = new Story().session(100, 20).session(100, 21).closed(150, 21);
    expect(story.restarts(200, 2).ended(201, 20).broken()).toEqual([]);
  });

  it.each([
    ['in no request', new Story()],
    ['only in a dry run', new Story().asks(150, 1, [20n], { isDryRun: true })],
    [
      'only in a request that expects another host',
      new Story().asks(150, 1, [20n], { expected: [{ id: 20n, host: '127.0.0.1:1' }] }),
    ],
    [
      'only in a request that expects another user',
      new Story().asks(150, 1, [20n], { expected: [{ id: 20n, user: 'somebody' }] }),
    ],
    ['only in a request after its end', new Story().asks(250, 1, [20n])],
    ['only in a request with its id plus 2^32', new Story().asks(150, 1, [20n + 2n ** 32n])],
    [
      'only in a request before it connected',
      new Story().asks(10, 1, [20n]).answers(20, 1, { unknown: [20n] }),
    ],
  ])('must not have been %s', (_how, story) => {
    story.session(100, 20, 'bystander').ended(200, 20);
    expect(story.broken()).toContain('a bystander died');
  });

  it('must not have been only in a request of an earlier incarnation', () => {
    const story = new Story().session(100, 20).asks(200, 1, [20n]).restarts(500, 2);
    story.session(900, 120, 'bystander', 2).ended(1_000, 120);
    expect(story.answers(1_100, 1, { unknown: [20n] }).broken()).toEqual(['a bystander died']);
  });

  it('must not be reported as failed', () => {
    const story = new Story().session(100, 20).asks(200, 1, [20n]).ended(300, 20);
    expect(story.answers(210, 1, { failed: [20n] }).broken()).toEqual(['failed, but it died']);
  });

  it('must not have been only in a request whose response has no outcomes', () => {
    const story = new Story().session(100, 20).asks(200, 1, [20n]).ended(210, 20);
    expect(story.answers(220, 1).broken()).toEqual(['an id is not accounted for']);
  });
});

describe('an internal thread', () => {
  it('is in each process list', () => {
    expect(new Story().sees(100, WORKER, DUMP).sees(500, WORKER, DUMP).broken()).toEqual([]);
  });

  it('may end with its server', () => {
    expect(new Story().sees(100, WORKER).restarts(200, 2).sees(300).broken()).toEqual([]);
  });

  it.each([WORKER, DUMP])('must not end while its server runs: $command', (thread) => {
    expect(new Story().sees(100, thread).sees(500).broken()).toEqual(['an internal thread died']);
  });

  it('must not be listed as killed', () => {
    const story = new Story().sees(100, WORKER).sees(500, { ...WORKER, command: 'Killed' });
    expect(story.broken()).toEqual(['an internal thread died']);
  });

  it('that reads the binary log must not lose its connection', () => {
    const story = new Story().session(100, 20, 'replica').ended(200, 20);
    expect(story.broken()).toEqual(['an internal thread died']);
  });

  it.each([WORKER, OURS])('must not be reported as killed: $user', (thread) => {
    const story = new Story().sees(100, thread).asks(200, 1, [thread.id]);
    story.answers(210, 1, { killed: [thread.id] });
    expect(story.broken()).toEqual(['an internal thread died']);
  });
});

describe('a session that is reported as killed', () => {
  it('may end up to 3 s later', () => {
    const story = new Story().session(100, 20).asks(200, 1, [20n]);
    expect(
      story
        .answers(210, 1, { killed: [20n] })
        .ended(3_000, 20)
        .broken(),
    ).toEqual([]);
  });

  it('may end later on a server that stands still', () => {
    const story = new Story().session(100, 20).asks(200, 1, [20n]);
    story.answers(210, 1, { killed: [20n] }).on(220, { what: 'server is paused' });
    expect(story.on(4_220, { what: 'server goes on' }).ended(4_250, 20).broken()).toEqual([]);
  });

  it('may be reported again under the same key', () => {
    const story = new Story().session(100, 20).asks(200, 1, [20n], { key: 'k' }).ended(205, 20);
    story.answers(210, 1, { killed: [20n] }).asks(60_000, 2, [20n], { key: 'k' });
    expect(story.answers(60_010, 2, { killed: [20n] }).broken()).toEqual([]);
  });

  it('may still be listed', () => {
    const row = { id: 20n, user: 'app', host: '127.0.0.1:4020', command: 'Killed', state: '' };
    const story = new Story().session(100, 20).asks(200, 1, [20n]).ended(205, 20);
    story
      .answers(210, 1, { killed: [20n] })
      .sees(7_000, row)
      .asks(7_100, 2, [20n]);
    expect(story.answers(7_110, 2, { killed: [20n] }).broken()).toEqual([]);
  });

  it('may be in the last process list, which can be old if the server stood still', () => {
    const row = { id: 20n, user: 'app', host: '127.0.0.1:4020', command: 'Killed', state: '' };
    const looked = (): Story => {
      const story = new Story().session(100, 20).asks(200, 1, [20n]).ended(205, 20);
      return story.answers(210, 1, { killed: [20n] }).sees(7_000, row);
    };
    const paused = looked().on(7_100, { what: 'server is paused' });
    paused.on(8_600, { what: 'server goes on' }).asks(8_700, 2, [20n]);
    expect(paused.answers(8_710, 2, { killed: [20n] }).broken()).toEqual([]);
    const running = looked()
      .asks(8_700, 2, [20n])
      .answers(8_710, 2, { killed: [20n] });
    expect(running.broken()).toEqual(['killed, but it lives']);
  });

  it.each([
    ['stay alive', 20n, new Story().session(100, 20)],
    ['have never existed', 600n, new Story().session(100, 20)],
    ['have ended long before', 20n, new Story().session(10, 20).asks(5, 9, [20n]).ended(60, 20)],
    ['have been closed long before', 20n, new Story().session(10, 20).closed(60, 20)],
  ])('must not %s', (_what, id, story) => {
    story.asks(17_000, 1, [id]).answers(17_010, 1, { killed: [id] });
    expect(story.broken()).toContain('killed, but it lives');
  });

  it('must not be another session than the expected one', () => {
    const expected = [{ id: 20n, host: '127.0.0.1:1' }];
    const story = new Story().session(100, 20).asks(200, 1, [20n], { expected }).closed(300, 20);
    expect(story.answers(210, 1, { killed: [20n] }).broken()).toEqual(['killed, but it lives']);
  });

  it('must have existed, even in a dry run', () => {
    const story = new Story().asks(200, 1, [600n], { isDryRun: true });
    story.answers(210, 1, { killed: [600n], isDryRun: true });
    expect(story.broken()).toEqual(['killed, but it lives']);
  });
});

describe('a session that is reported as not found', () => {
  it('may have ended just before, have begun just then, or not be the expected one', () => {
    const story = new Story().session(100, 20).session(100, 22).session(205, 21).closed(190, 20);
    story.asks(200, 1, [20n, 21n, 22n], { expected: [{ id: 22n, host: '127.0.0.1:1' }] });
    expect(story.answers(210, 1, { not_found: [20n, 21n, 22n] }).broken()).toEqual([]);
  });

  it('must not have been there before and after', () => {
    const story = new Story().session(100, 20).asks(200, 1, [20n]);
    const expected = ['not found, but it lives'];
    expect(story.answers(210, 1, { not_found: [20n] }).broken()).toEqual(expected);
  });
});

describe('a response', () => {
  it('has each id once, in the order of the request', () => {
    const story = new Story().asks(200, 1, [700n, 600n, 700n]);
    expect(story.answers(210, 1, { not_found: [700n, 600n] }).broken()).toEqual([]);
  });

  it.each([
    ['leave out an id', { not_found: [700n] }],
    ['have an id twice', { killed: [], not_found: [700n, 600n, 700n] }],
    ['have an id that the request has not', { not_found: [700n, 601n] }],
    ['change the order', { not_found: [600n, 700n] }],
    ['have only two arrays with status 500', { not_found: [700n, 600n], status: 500 }],
    ['refuse a valid request', { status: 400 }],
    ['have status 500 if no id failed', { not_found: [700n, 600n], failed: [] }],
    ['claim a dry run', { not_found: [700n, 600n], isDryRun: true }],
  ])('must not %s', (_what, content) => {
    const story = new Story().asks(200, 1, [700n, 600n]).answers(210, 1, content);
    expect(story.broken()).toEqual(['an id is not accounted for']);
  });

  it('must not change under the same key', () => {
    const story = new Story().session(100, 20).asks(200, 1, [20n], { key: 'k' }).ended(205, 20);
    story.answers(210, 1, { killed: [20n] }).asks(300, 2, [20n], { key: 'k' });
    story.answers(310, 2, { not_found: [20n] });
    expect(story.broken()).toEqual(['an id is not accounted for']);
  });

  it('must not have different outcomes in its arrays and in its representation', () => {
    const story = new Story().asks(200, 1, [600n], { isRepresentationWanted: true });
    story.answers(210, 1, { not_found: [600n], processes: [{ id: 600n, outcome: 'gone' }] });
    expect(story.broken()).toEqual(['an id is not accounted for']);
  });

  it('may come 100 ms after its limit, which includes the wait', () => {
    const story = new Story().asks(200, 1, [600n], { waitSeconds: 1 });
    expect(story.answers(3_290, 1, { not_found: [600n] }).broken()).toEqual([]);
  });

  it('must not come later', () => {
    const story = new Story().asks(200, 1, [600n]).answers(2_310, 1, { not_found: [600n] });
    expect(story.broken()).toEqual(['the answer was late']);
  });

  it('is not late if this process was', () => {
    const story = new Story()
      .asks(200, 1, [600n])
      .of(2_310, { what: 'lag', of: 'torture', ms: 150 });
    expect(story.answers(2_311, 1, { not_found: [600n] }).broken()).toEqual([]);
  });

  it('is not late if the service waited for a core, and overlapping waits count once', () => {
    const starve = (ms: number): Story =>
      new Story()
        .asks(200, 1, [600n])
        .of(2_310, { what: 'lag', of: 'torture', ms: 60 })
        .of(2_310, { what: 'lag', of: 'service', ms })
        .answers(2_400, 1, { not_found: [600n] });
    expect(starve(110).broken()).toEqual([]);
    expect(starve(60).broken()).toEqual(['the answer was late']);
  });

  it('must not be missing while the service runs', () => {
    expect(new Story().asks(200, 1, [600n]).broken()).toEqual(['the answer was late']);
  });
});

describe('the evidence of a violation', () => {
  it('has the events that concern the violation, and no others', () => {
    const story = new Story().session(50, 30).session(100, 20).asks(150, 1, [30n]).ended(160, 30);
    story
      .answers(170, 1, { killed: [30n] })
      .asks(180, 2, [20n, 40n])
      .ended(190, 20);
    const [violation] = story.answers(200, 2, { failed: [20n], not_found: [40n] }).violations();
    expect(violation?.rule).toBe('failed, but it died');
    const lines = violation === undefined ? [] : evidenceOf(violation, story.events);
    expect(lines.map((line) => line.trim().replace(/ \{.*/, ''))).toEqual([
      '100.0 mariadb: session begins',
      '180.0 mariadb: request',
      '190.0 mariadb: session has ended',
      '200.0 mariadb: answer',
    ]);
    expect(lines[1]).toContain('"ids":[20,40]');
  });
});
