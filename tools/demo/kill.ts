import assert from 'node:assert/strict';
import type { Termination } from '../../src/client/index.ts';
import { curlOf, type Api, type Exchange } from './api.ts';
import { UNCOMMITTED_ROWS, type Client, type Part } from './clients.ts';
import type { Thread } from './node.ts';
import type { Screen } from './screen.ts';

/** An id that no session has and that no double can hold exactly. */
const UNKNOWN_ID = 9_007_199_254_740_993n;

/**
 * Ends the sessions of these clients with one request. The request also has an unknown id, and the id of the event scheduler if it runs.
 * Shows the request and the response. Rejects if the response does not account for each id.
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
    `The expected answer was: killed ${expected}`,
  );
  screen.check(
    `The answer accounts for each of the ${killed.length + notFound.length} ids exactly: ${killed.length} killed, ${notFound.length} not found.`,
  );
  return { termination, exchange };
}

function explain(screen: Screen, clients: readonly Client[], scheduler: Thread | undefined): void {
  const row = (does: Part['does'], what: string): string[] => {
    const found = clients.filter(({ part }) => part.does === does);
    const names = found.map(({ part }) => part.name).join(', ');
    return [found.map(({ id }) => id).join(', '), `${what}: ${names}`];
  };
  const asDouble = Number(UNKNOWN_ID).toString();
  screen.say('The request has these ids:');
  screen.table(
    [{ name: '', minWidth: 60 }, { name: '' }],
    [
      row('idle', 'idle'),
      row('statement', 'in a ten-minute statement'),
      row('transaction', `in a transaction with ${UNCOMMITTED_ROWS} uncommitted rows`),
      [UNKNOWN_ID.toString(), `an id without a session; as a double it would be ${asDouble}`],
      ...(scheduler === undefined ? [] : [[scheduler.id.toString(), "the node's event scheduler"]]),
    ],
  );
  if (scheduler === undefined) return;
  screen.say(
    "The event scheduler is an internal thread. The API does not list it: its id comes from root's SHOW PROCESSLIST. The service must report it as not found and leave it alive.",
  );
}
