import assert from 'node:assert/strict';
import type { Connection } from 'mysql2/promise';
import type { Api } from './api.ts';
import { rowsOf, UNCOMMITTED_ROWS, type Client } from './clients.ts';
import { eventScheduler, one, threadsOf, type Thread } from './node.ts';
import type { Screen } from './screen.ts';
import type { Service } from './service.ts';
import { until } from '../lib/until.ts';

/** Shows that the clients have noticed and that the API lists only the others; rejects when it is not so in time. */
export async function proveEnded(
  screen: Screen,
  api: Api,
  ended: readonly Client[],
  alive: readonly Client[],
): Promise<void> {
  const unaware = (): Client[] => ended.filter((one) => !one.hasEnded || one.heard === undefined);
  await until(
    () => `sessions that were reported killed are disconnected, but not ${namesOf(unaware())}`,
    () => unaware().length === 0,
  );
  const heard = [...new Set(ended.map((client) => client.heard))].join('; ');
  screen.check(`${namesOf(ended)} were disconnected, and noticed: "${heard}"`);
  await until('the API lists just the sessions of the others', async () => {
    const ids = new Set((await api.list()).sessions.map(({ id }) => id));
    return ended.every(({ id }) => !ids.has(id)) && alive.every(({ id }) => ids.has(id));
  });
  screen.check(`The same list again has the other ${alive.length} clients, and those no more:`);
}

/** Shows that these clients go on with what they were doing; rejects when one does not. */
export async function proveAlive(
  screen: Screen,
  root: Connection,
  alive: readonly Client[],
): Promise<void> {
  const busy = alive.filter(({ part }) => part.does === 'statement');
  const free = alive.filter(({ part }) => part.does !== 'statement');
  const lost = alive.find(({ hasEnded }) => hasEnded);
  assert(lost === undefined, `${lost?.part.name ?? ''} has lost its session, which nobody ended`);
  for (const client of free) {
    const id = await client.ask('SELECT CONNECTION_ID()');
    assert(id === client.id.toString(), `${client.part.name} has another session than before`);
  }
  const threads = await threadsOf(root);
  for (const { id, part } of busy) {
    const isBusy = threads.some((thread) => thread.id === id && thread.command === 'Query');
    assert(isBusy, `${part.name} is no longer in its statement`);
  }
  screen.check(
    `The bystanders live: ${namesOf(free)} get answers in the same sessions; ${namesOf(busy)} is still in its statement.`,
  );
}

/** Shows that the event scheduler is what it was, by the node's own account; rejects when it is not. */
export async function proveScheduler(
  screen: Screen,
  root: Connection,
  before: Thread,
): Promise<void> {
  const after = await eventScheduler(root);
  assert(after?.id === before.id, 'The event scheduler is gone');
  screen.check(
    `The event scheduler is still there; SHOW PROCESSLIST on the node: ${after.id} ${after.user}, ${after.command}, "${after.state}".`,
  );
}

/** Shows that what the ended client wrote is gone and what the other one wrote is not; rejects when it is not so. */
export async function proveRollback(
  screen: Screen,
  root: Connection,
  table: string,
  { ended, lives, reader }: Readonly<Record<'ended' | 'lives' | 'reader', Client>>,
): Promise<void> {
  await until(
    `the rows of ${ended.part.name} have gone`,
    async () => (await one(root, rowsOf(ended, table))) === '0',
  );
  screen.check(
    `The ${UNCOMMITTED_ROWS} uncommitted rows of ${ended.part.name} are rolled back: root, who reads uncommitted rows too, finds none.`,
  );
  await lives.commit();
  const kept = await reader.ask(rowsOf(lives, table));
  const all = await reader.ask(`SELECT COUNT(*) FROM ${table}`);
  assert(
    kept === String(UNCOMMITTED_ROWS) && all === kept,
    `${reader.part.name} reads ${all} rows, ${kept} of them by ${lives.part.name}`,
  );
  screen.check(
    `${lives.part.name} commits its own, and ${reader.part.name} then reads just those ${kept} rows.`,
  );
}

/** Shows the log's lines about these kills; rejects when one is missing. */
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
    names.map((name) => ({ name, ...(name === 'session_host' && { least: 21 }) })),
    kills().map(({ fields }) => names.map((name) => String(fields[name]))),
  );
  screen.say('The first of these lines in full:');
  screen.code(kills()[0]?.line ?? '');
  screen.check(`Each of the ${ended.length} kills is in the log.`);
}

function namesOf(clients: readonly Client[]): string {
  const names = clients.map(({ part }) => part.name);
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
