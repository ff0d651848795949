import assert from 'node:assert/strict';
import type { Termination } from '../../src/client/index.ts';
import { curlOf, type Api, type Exchange } from './api.ts';
import { UNCOMMITTED_ROWS, type Client, type Part } from './clients.ts';
import type { Thread } from './node.ts';
import type { Screen } from './screen.ts';

/** An id that no session has, and that no double can hold. */
const UNKNOWN_ID = 9_007_199_254_740_993n;

/**
 * Ends the sessions of these clients with one request, which also names an unknown id and the event scheduler's, if there is one.
 * Shows it all; rejects unless the answer accounts for every id.
 */
export async function endSessions(
  screen: Screen,
  api: Api,
  clients: readonly Client[],
  scheduler: Thread | undefined,
): Promise<{ termination: Termination; exchange: Exchange }> {
  const killed = clients.map(({ id }) => id);
  const notFound = [UNKNOWN_ID, ...(scheduler === undefined ? [] : [scheduler.id])];
  explain(screen, clients, scheduler);

  const { termination, exchange } = await api.kill([...killed, ...notFound]);
  screen.code(curlOf(exchange.request));
  screen.say(`HTTP ${exchange.answer.status}, after ${Math.round(exchange.milliseconds)} ms:`);
  screen.code(exchange.answer.text);

  const expected = [killed, notFound].join(' and not found ');
  const actual = [termination.killed, termination.notFound].join(' and not found ');
  assert(
    exchange.answer.status === 200 && actual === expected,
    `The answer should have been: killed ${expected}`,
  );
  screen.check(
    `Each of the ${killed.length + notFound.length} ids is accounted for, to the digit: ${killed.length} killed, ${notFound.length} not found.`,
  );
  return { termination, exchange };
}

function explain(screen: Screen, clients: readonly Client[], scheduler: Thread | undefined): void {
  const row = (does: Part['does'], what: string): string[] => {
    const those = clients.filter(({ part }) => part.does === does);
    const names = those.map(({ part }) => part.name).join(', ');
    return [those.map(({ id }) => id).join(', '), `${what}: ${names}`];
  };
  const asDouble = Number(UNKNOWN_ID).toString();
  screen.say('The request names these ids:');
  screen.table(
    [{ name: '', least: 60 }, { name: '' }],
    [
      row('idle', 'idle'),
      row('statement', 'in a ten-minute statement'),
      row('transaction', `in a transaction with ${UNCOMMITTED_ROWS} uncommitted rows`),
      [UNKNOWN_ID.toString(), `nobody; as a double it would be ${asDouble}`],
      ...(scheduler === undefined ? [] : [[scheduler.id.toString(), "the node's event scheduler"]]),
    ],
  );
  if (scheduler === undefined) return;
  screen.say(
    `The event scheduler is an internal thread: the API does not list it, and only SHOW PROCESSLIST, asked as root, told its id. It will be reported as not found, like an id that nobody has, and live on.`,
  );
}
