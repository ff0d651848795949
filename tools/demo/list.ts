import type { Session } from '../../src/client/index.ts';
import type { Screen } from './screen.ts';

/** A longer list is cut down to the sessions that have a name. */
const MAX_SHOWN = 30;

/** Shows the list of the API as a table, with the names of the clients. */
export function showSessions(
  screen: Screen,
  sessions: readonly Session[],
  names: ReadonlyMap<bigint, string>,
): void {
  const shown =
    sessions.length <= MAX_SHOWN ? sessions : sessions.filter(({ id }) => names.has(id));
  screen.table(
    [
      { name: 'id', align: 'right', minWidth: 20 },
      { name: 'user' },
      { name: 'host', minWidth: 21 },
      { name: 'db' },
      { name: 'command' },
      { name: 'time', align: 'right' },
      { name: 'state' },
      { name: 'info' },
      { name: 'client', minWidth: 10 },
    ],
    shown.map((one) => [
      String(one.id),
      ...[one.user, one.host, one.db, one.command, String(one.time), one.state, one.info],
      names.get(one.id) ?? '',
    ]),
  );
  const others = sessions.length - shown.length;
  if (others > 0) screen.say(`The list has ${others} more sessions, of other users of the node.`);
}
