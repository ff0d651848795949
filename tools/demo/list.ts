import type { Session } from '../../src/client/index.ts';
import type { Screen } from './screen.ts';

/** The most sessions that are shown; of more, only those that have a name. */
const MOST_SHOWN = 30;

/** Shows the API's list as a table, beside the names by which some sessions go here. */
export function showSessions(
  screen: Screen,
  sessions: readonly Session[],
  names: ReadonlyMap<bigint, string>,
): void {
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
