import { describe, expect, it } from '@jest/globals';
import { NODES } from '../../tools/torture/wire.ts';
import { Story } from './story.ts';

const STARTED = { record: 'started', pid: 1 };

/** A line of the audit file, written so many milliseconds after this process began. */
function line(at: number, record: object): string {
  const time = new Date(performance.timeOrigin + at).toISOString();
  return `${JSON.stringify({ ...record, time })}\n`;
}

function intent(at: number, id: number, host = `127.0.0.1:${4000 + id}`): string {
  const sessions = [{ id, user: 'app', host, db: '', command: 'Sleep', time: 0 }];
  return line(at, { record: 'intent', request_id: 'request-1', node_id: NODES.mariadb, sessions });
}

function outcome(at: number, id: number, told = 'killed'): string {
  const sessions = [{ id, outcome: told }];
  return line(at, { record: 'outcome', request_id: 'request-1', node_id: NODES.mariadb, sessions });
}

/** One session is killed at 500. */
function kill(): Story {
  const story = new Story().session(100, 20).asks(400, 1, [20n]).ended(500, 20);
  return story.answers(510, 1, { killed: [20n] });
}

describe('a kill', () => {
  it('is on record before it, and what came of it after', () => {
    const audit = line(0, STARTED) + intent(450, 20) + outcome(510, 20);
    expect(kill().broken(audit)).toEqual([]);
  });

  it.each([
    ['on record', ''],
    ['with its id', intent(450, 21) + outcome(510, 21)],
    ['with its host', intent(450, 20, '127.0.0.1:1') + outcome(510, 20)],
    ['before it', intent(900, 20) + outcome(910, 20)],
    ['with what came of it', intent(450, 20)],
    ['with what the caller was told', intent(450, 20) + outcome(510, 20, 'failed')],
    ['before what came of it', outcome(510, 20) + intent(450, 20)],
  ])('must be %s', (_what, lines) => {
    expect(kill().broken(line(0, STARTED) + lines)).toEqual(['a kill is not on record']);
  });

  it('has no outcome when the service was killed just then', () => {
    const story = kill().of(520, { what: 'service is killed' });
    expect(story.broken(line(0, STARTED) + intent(450, 20))).toEqual([]);
  });
});

describe('a line of the audit file', () => {
  const whole = intent(450, 20) + outcome(510, 20);

  it('may be torn where the service was killed', () => {
    const story = kill().of(600, { what: 'service is killed' });
    expect(story.broken(`${whole}{"record":"int\n${line(700, STARTED)}`)).toEqual([]);
  });

  it.each([
    ['anywhere else', `{"record":"int\n${whole}`],
    ['more often', `{"a\n${line(1, STARTED)}{"b\n${line(2, STARTED)}${whole}`],
  ])('must not be torn %s', (_where, audit) => {
    const story = kill().of(5_000, { what: 'service is killed' });
    expect(story.broken(audit)).toEqual(['a kill is not on record']);
  });
});
