import assert from 'node:assert/strict';
import { contentOf, listRequest, send, type ListedSession } from './api.ts';
import type { Screen } from './screen.ts';
import type { Service } from './service.ts';

/** The most sessions that are shown; of more, only those that have a name. */
const MOST_SHOWN = 30;

/** Asks the API for all user sessions of the node, page by page. Rejects when it does not give them. */
export async function listSessions({ sessionsUrl: url, token }: Service): Promise<ListedSession[]> {
  const sessions: ListedSession[] = [];
  for (;;) {
    const answer = await send(listRequest(url, token, sessions.length));
    assert(answer.status === 200, `The list was answered with ${answer.status} ${answer.text}`);
    const { processes, total_count: total } = contentOf(answer) as {
      readonly processes: readonly ListedSession[];
      readonly total_count: bigint;
    };
    sessions.push(...processes);
    if (processes.length === 0 || BigInt(sessions.length) >= total) return sessions;
  }
}

/** Shows the API's list as a table, beside the names by which some sessions go here. */
export async function showSessions(
  screen: Screen,
  service: Service,
  names: ReadonlyMap<bigint, string>,
): Promise<void> {
  const sessions = await listSessions(service);
  const shown =
    sessions.length <= MOST_SHOWN ? sessions : sessions.filter(({ id }) => names.has(id));
  screen.table(
    [
      { name: 'id', align: 'right', least: 20 },
      { name: 'user' },
      { name: 'host', least: 21 },
      { name: 'db' },
      { name: 'command' },
      { name: 'time', align: 'right' },
      { name: 'state' },
      { name: 'info' },
      { name: 'client', least: 10 },
    ],
    shown.map((one) => [
      String(one.id),
      ...[one.user, one.host, one.db, one.command, String(one.time), one.state, one.info],
      names.get(one.id) ?? '',
    ]),
  );
  const others = sessions.length - shown.length;
  if (others > 0) screen.say(`The list has ${others} more, of others who use the node.`);
}
