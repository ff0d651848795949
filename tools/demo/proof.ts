import assert from 'node:assert/strict';
import type { Connection } from 'mysql2/promise';
import type { Api } from './api.ts';
import { rowsOf, UNCOMMITTED_ROWS, type Client } from './clients.ts';
import { eventScheduler, one, threadsOf, type Thread } from './node.ts';
import type { Screen } from './screen.ts';
import type { Service } from './service.ts';
import { until } from '../lib/until.ts';

/** Checks that the clients were disconnected and that the API lists only the others. Rejects if that takes too long. */
export async function proveEnded(
  screen: Screen,
  api: Api,
  ended: readonly Client[],
  alive: readonly Client[],
): Promise<void> {
  const connected = (): Client[] =>
    ended.filter((one) => !one.hasEnded || one.endError === undefined);
  await until(
    () => `the killed sessions are disconnected, but not ${namesOf(connected())}`,
    () => connected().length === 0,
  );
  const errors = [...new Set(ended.map(({ endError }) => endError))].join('; ');
  screen.check(`${namesOf(ended)} were disconnected with the error "${errors}"`);
  await until('the API lists only the sessions of the others', async () => {
    const ids = new Set((await api.list()).sessions.map(({ id }) => id));
    return ended.every(({ id }) => !ids.has(id)) && alive.every(({ id }) => ids.has(id));
  });
  screen.check(`A new list has only the other ${alive.length} clients:`);
}

/** Checks that these clients still have their sessions and run their statements. Rejects if one does not. */
export async function proveAlive(
  screen: Screen,
  root: Connection,
  alive: readonly Client[],
): Promise<void> {
  const busy = alive.filter(({ part }) => part.does === 'statement');
  const free = alive.filter(({ part }) => part.does !== 'statement');
  const lost = alive.find(({ hasEnded }) => hasEnded);
  assert(
    lost === undefined,
    `${lost?.part.name ?? ''} has lost its session, although the request did not have its id`,
  );
  for (const client of free) {
    const id = await client.ask('SELECT CONNECTION_ID()');
    assert(id === client.id.toString(), `${client.part.name} has another session than before`);
  }
  const threads = await threadsOf(root);
  for (const { id, part } of busy) {
    const isBusy = threads.some((thread) => thread.id === id && thread.command === 'Query');
    assert(isBusy, `${part.name} no longer runs its statement`);
  }
  screen.check(
    `The other sessions are alive: ${namesOf(free)} get answers, and ${namesOf(busy)} still runs its statement.`,
  );
}

/** Checks in the node's process list that the event scheduler has its old id. Rejects if it does not. */
export async function proveScheduler(
  screen: Screen,
  root: Connection,
  before: Thread,
): Promise<void> {
  const after = await eventScheduler(root);
  assert(after?.id === before.id, 'The event scheduler is gone');
  screen.check(
    `The event scheduler is alive. SHOW PROCESSLIST on the node has ${after.id} ${after.user}, ${after.command}, "${after.state}".`,
  );
}

/** Checks that the rows of the ended client are rolled back and those of the other client are not. Rejects if this is wrong. */
export async function proveRollback(
  screen: Screen,
  root: Connection,
  table: string,
  { ended, alive, reader }: Readonly<Record<'ended' | 'alive' | 'reader', Client>>,
): Promise<void> {
  await until(
    `the rows of ${ended.part.name} are gone`,
    async () => (await one(root, rowsOf(ended, table))) === '0',
  );
  screen.check(
    `The node has rolled back the ${UNCOMMITTED_ROWS} rows of ${ended.part.name}: root finds none of them.`,
  );
  await alive.commit();
  const kept = await reader.ask(rowsOf(alive, table));
  const all = await reader.ask(`SELECT COUNT(*) FROM ${table}`);
  assert(
    kept === String(UNCOMMITTED_ROWS) && all === kept,
    `${reader.part.name} reads ${all} rows, ${kept} of them by ${alive.part.name}`,
  );
  screen.check(
    `${alive.part.name} commits its rows, and ${reader.part.name} then reads only these ${kept} rows.`,
  );
}

/** Shows the log lines about these kills. Rejects if one is missing. */
export async function showLog(
  screen: Screen,
  service: Service,
  requestId: string | undefined,
  ended: readonly Client[],
): Promise<void> {
  const kills = (): Service['log'] =>
    service.log.filter(
      ({ message, fields }) => message === 'kill' && fields['request_id'] === requestId,
    );
  const isLogged = ({ id }: Client): boolean =>
    kills().some(
      ({ fields }) => fields['session_id'] === id.toString() && fields['outcome'] === 'killed',
    );
  await until('the log has every kill', () => ended.every(isLogged));
  const names = ['timestamp', 'caller', 'session_id', 'session_user', 'session_host', 'outcome'];
  screen.table(
    names.map((name) => ({ name, ...(name === 'session_host' && { minWidth: 21 }) })),
    kills().map(({ fields }) => names.map((name) => String(fields[name]))),
  );
  screen.say('The first of these log lines in full:');
  screen.code(kills()[0]?.line ?? '');
  screen.check(`Each of the ${ended.length} kills is in the log.`);
}

function namesOf(clients: readonly Client[]): string {
  const names = clients.map(({ part }) => part.name);
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
