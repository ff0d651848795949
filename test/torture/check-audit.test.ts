import { describe, expect, it } from '@jest/globals';
import { NODES } from '../../tools/torture/wire.ts';
import { Story } from './story.ts';

const STARTED = { record: 'started', pid: 1 };

/** Returns a line of the audit file, written `at` milliseconds after the start of this process. */
function line(at: number, record: object): string {
  const time = new Date(performance.timeOrigin + at).toISOString();
  return `${JSON.stringify({ ...record, time })}\n`;
}

function intent(at: number, id: number, host = `127.0.0.1:${4000 + id}`): string {
  const sessions = [{ id, user: 'app', host, db: '', command: 'Sleep', time: 0 }];
  return line(at, { record: 'intent', request_id: 'request-1', node_id: NODES.mariadb, sessions });
}

function outcome(at: number, id: number, value = 'killed'): string {
  const sessions = [{ id, outcome: value }];
  return line(at, { record: 'outcome', request_id: 'request-1', node_id: NODES.mariadb, sessions });
}

/** Returns a story in which one session is killed at 500 ms. */
function kill(): Story {
  const story = new Story().session(100, 20).asks(400, 1, [20n]).ended(500, 20);
  return story.answers(510, 1, { killed: [20n] });
}

describe('the record of a kill', () => {
  it('has an intent before the kill and an outcome after it', () => {
    const audit = line(0, STARTED) + intent(450, 20) + outcome(510, 20);
    expect(kill().broken(audit)).toEqual([]);
  });

  it.each([
    ['be missing', ''],
    ['have another id', intent(450, 21) + outcome(510, 21)],
    ['have another host', intent(450, 20, '127.0.0.1:1') + outcome(510, 20)],
    ['come after the kill', intent(900, 20) + outcome(910, 20)],
    ['lack the outcome', intent(450, 20)],
    ['have another outcome than the answer', intent(450, 20) + outcome(510, 20, 'failed')],
    ['have the outcome before the intent', outcome(510, 20) + intent(450, 20)],
  ])('must not %s', (_what, lines) => {
    expect(kill().broken(line(0, STARTED) + lines)).toEqual(['a kill is not on record']);
  });

  it('may lack the outcome if the service was killed at that moment', () => {
    const story = kill().of(520, { what: 'service is killed' });
    expect(story.broken(line(0, STARTED) + intent(450, 20))).toEqual([]);
  });
});

describe('a line of the audit file', () => {
  const whole = intent(450, 20) + outcome(510, 20);

  it('may be torn if the service was killed', () => {
    const story = kill().of(600, { what: 'service is killed' });
    expect(story.broken(`${whole}{"record":"int\n${line(700, STARTED)}`)).toEqual([]);
  });

  it.each([
    ['without a start of the service after it', `{"record":"int\n${whole}`],
    [
      'more often than the service was killed',
      `{"a\n${line(1, STARTED)}{"b\n${line(2, STARTED)}${whole}`,
    ],
  ])('must not be torn %s', (_where, audit) => {
    const story = kill().of(5_000, { what: 'service is killed' });
    expect(story.broken(audit)).toEqual(['a kill is not on record']);
  });
});
