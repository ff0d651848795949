import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Cleanup } from './cleanup.ts';
import { curlOf } from './api.ts';
import { PARTS, rowsOf, UNCOMMITTED_ROWS, type Client } from './clients.ts';
import { endSessions } from './kill.ts';
import { showSessions } from './list.ts';
import { eventScheduler, one } from './node.ts';
import { proveAlive, proveEnded, proveRollback, proveScheduler, showLog } from './proof.ts';
import { setUp, type Scene } from './scene.ts';
import type { Screen } from './screen.ts';
import { invite } from './serve.ts';

/** The output of the demonstration, and how it ends. */
export interface DemoOptions {
  readonly environment: NodeJS.ProcessEnv;
  readonly screen: Screen;
  readonly cleanup: Cleanup;
  /** With `--serve`: calls `onBegin`, then keeps the service up until the signal aborts. */
  readonly serve: { readonly until: AbortSignal; readonly onBegin: () => void } | undefined;
}

/** Runs the demonstration. Rejects if a check fails or the service ends. */
export async function demonstrate(options: DemoOptions): Promise<void> {
  const { environment, screen, cleanup } = options;
  screen.heading('session-control: ends sessions on a database server through the TaurusDB API');
  const scene = await setUp(environment, screen, cleanup);
  await Promise.race([perform(scene, options), scene.service.whenEnded()]);
}

async function perform(scene: Scene, { screen, serve }: DemoOptions): Promise<void> {
  const { root, accounts, service, api, clients } = scene;
  screen.step('Twelve clients');
  await clients.start(PARTS, root);
  const ending = clients.present.filter(({ part }) => part.expected === 'killed');
  const staying = clients.present.filter(({ part }) => part.expected === 'alive');
  const writers = {
    ended: clients.called('web-6'),
    alive: clients.called('web-7'),
    reader: clients.called('web-3'),
  };
  await showClients(screen, scene, writers);
  const scheduler = await eventScheduler(root);
  if (scheduler) screen.say("The node's event scheduler runs as well.");

  screen.step("The node's sessions, as the API lists them");
  const before = await api.list();
  screen.code(curlOf(before.exchange.request));
  const own = BigInt(await one(root, 'SELECT CONNECTION_ID()'));
  const names = new Map([
    [own, '(this)'],
    ...clients.present.map(({ id, part }) => [id, part.name] as const),
  ]);
  showSessions(screen, before.sessions, names);
  screen.say(
    'The demonstration adds the column client: the name of the client, or (this) for its own connection.',
  );

  screen.step('One request ends some of them');
  const { termination, exchange } = await endSessions(screen, api, ending, scheduler);

  screen.step('The result');
  await proveEnded(screen, api, ending, staying);
  showSessions(screen, (await api.list()).sessions, names);
  await proveAlive(screen, root, staying);
  if (scheduler) await proveScheduler(screen, root, scheduler);
  await proveRollback(screen, root, accounts.table, writers);

  screen.step('The log of the service');
  await showLog(screen, service, termination.requestIds[0], ending);

  if (serve === undefined) return;
  screen.step('Your turn');
  serve.onBegin();
  await clients.start(
    ending.map(({ part }) => part),
    root,
  );
  // Without this connection, the user can neither see nor end it by mistake.
  await root.end();
  const stopReports = invite(screen, scene, before.exchange.request, exchange.request);
  await once(serve.until, 'abort');
  stopReports();
}

async function showClients(
  screen: Screen,
  { root, accounts: { table }, clients }: Scene,
  { ended, alive, reader }: Readonly<Record<'ended' | 'alive' | 'reader', Client>>,
): Promise<void> {
  const count = (does: Client['part']['does']): number =>
    clients.present.filter(({ part }) => part.does === does).length;
  screen.say(
    `${count('idle')} are idle, ${count('statement')} run a long statement, and ${count('transaction')} have an open transaction.`,
  );
  for (const writer of [ended, alive]) {
    const [seen, read] = [
      await one(root, rowsOf(writer, table)),
      await reader.ask(rowsOf(writer, table)),
    ];
    assert(
      seen === String(UNCOMMITTED_ROWS) && read === '0',
      `${writer.part.name} should have ${UNCOMMITTED_ROWS} uncommitted rows; root sees ${seen}, and ${reader.part.name} ${read}`,
    );
  }
  screen.check(
    `${ended.part.name} and ${alive.part.name} have each inserted ${UNCOMMITTED_ROWS} rows into ${table} without a commit. root reads uncommitted rows and sees them; ${reader.part.name} does not.`,
  );
}
