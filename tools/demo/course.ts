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

/** Where the demonstration writes, and how it ends. */
export interface DemoOptions {
  readonly environment: NodeJS.ProcessEnv;
  readonly screen: Screen;
  readonly cleanup: Cleanup;
  /** If it is to stay up afterwards: until when, and whom to tell that this has begun. */
  readonly serve: { readonly until: AbortSignal; readonly begins: () => void } | undefined;
}

/** The demonstration from its beginning to its end. Rejects when it does not come out as it should. */
export async function demonstrate(options: DemoOptions): Promise<void> {
  const { environment, screen, cleanup } = options;
  screen.heading("session-control: ends sessions of a real node through TaurusDB's API");
  const scene = await setUp(environment, screen, cleanup);
  await Promise.race([perform(scene, options), scene.service.whenEnded()]);
}

async function perform(scene: Scene, { screen, serve }: DemoOptions): Promise<void> {
  const { root, accounts, service, api, clients } = scene;
  screen.step('A dozen clients');
  await clients.start(PARTS, root);
  const ending = clients.present.filter(({ part }) => part.fate === 'ends');
  const staying = clients.present.filter(({ part }) => part.fate === 'lives');
  const writers = {
    ended: clients.called('web-6'),
    lives: clients.called('web-7'),
    reader: clients.called('web-3'),
  };
  await showClients(screen, scene, writers);
  const scheduler = await eventScheduler(root);
  if (scheduler) screen.say('Beside them runs the event scheduler of the node.');

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
    "The column client is not the API's: it says which of the dozen it is, or that it is the demonstration itself.",
  );

  screen.step('Ending some of them, with one request');
  const { termination, exchange } = await endSessions(screen, api, ending, scheduler);

  screen.step('What came of it');
  await proveEnded(screen, api, ending, staying);
  showSessions(screen, (await api.list()).sessions, names);
  await proveAlive(screen, root, staying);
  if (scheduler) await proveScheduler(screen, root, scheduler);
  await proveRollback(screen, root, accounts.table, writers);

  screen.step('What the service logged of it');
  await showLog(screen, service, termination.requestIds[0], ending);

  if (serve === undefined) return;
  screen.step('Your turn');
  serve.begins();
  await clients.start(
    ending.map(({ part }) => part),
    root,
  );
  // Not in the list any more, nor ended by mistake.
  await root.end();
  const stopTelling = invite(screen, scene, before.exchange.request, exchange.request);
  await once(serve.until, 'abort');
  stopTelling();
}

async function showClients(
  screen: Screen,
  { root, accounts: { table }, clients }: Scene,
  { ended, lives, reader }: Readonly<Record<'ended' | 'lives' | 'reader', Client>>,
): Promise<void> {
  const count = (does: Client['part']['does']): number =>
    clients.present.filter(({ part }) => part.does === does).length;
  screen.say(
    `${count('idle')} are idle, ${count('statement')} are in a long statement, and ${count('transaction')} are in a transaction that they leave open.`,
  );
  for (const writer of [ended, lives]) {
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
    `${ended.part.name} and ${lives.part.name} have inserted ${UNCOMMITTED_ROWS} rows each into ${table} and not committed them: root, who reads uncommitted rows too, sees them; ${reader.part.name} does not.`,
  );
}
