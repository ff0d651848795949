import type { Deadline } from '../domain/deadline.ts';
import type { Node } from '../domain/node.ts';
import { clientPort, type Session } from '../domain/session.ts';
import { hostFit, type HostFit } from './account-host.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import { ifAllowed } from './server-errors.ts';

interface Account {
  readonly user: string;
  readonly host: string;
  readonly hasSystemUser: boolean;
}

interface Accounts {
  readonly accounts: readonly Account[];
  /** False if an account that a session can have may be missing. */
  readonly areAll: boolean;
}

/**
 * Returns the sessions whose account has MySQL's SYSTEM_USER, as the grant tables show; none if the control account cannot read them. A
 * session keeps the privilege from its login, so a later GRANT or REVOKE can make the result wrong.
 * Throws the driver's error if the connection breaks.
 */
export async function sessionsOfSystemUsers(
  connection: DriverConnection,
  node: Node,
  sessions: readonly Session[],
  deadline: Deadline,
): Promise<readonly Session[]> {
  const ask: Ask = async (sql) =>
    (await ifAllowed(connection.query(sql, node.listTimeoutMs, deadline)))?.rows;
  const known = await readAccounts(ask);
  if (known === undefined) return [];
  // MySQL accepts a KILL of a session that is Killed already, whatever privileges its account has.
  const living = sessions.filter(({ command }) => command.toLowerCase() !== 'killed');
  const found = living.filter((session) => hasSystemUser(session, known));
  const active = found.filter((session) => !isAsleep(session));
  const logins = active.length === 0 ? new Set() : await readLogins(ask, active);
  return found.filter((session) => isAsleep(session) || logins.has(loginOf(session)));
}

type Ask = (sql: string) => Promise<readonly (readonly unknown[])[] | undefined>;

/** MySQL chose at the login an account whose host fits. It prefers hosts without a wildcard. */
function hasSystemUser({ user, host }: Session, { accounts, areAll }: Accounts): boolean {
  const client = hostOf(host);
  const fits = accounts.flatMap((account): [Account, HostFit][] => {
    const fit =
      account.user === user || account.user === '' ? hostFit(account.host, client) : undefined;
    return fit === undefined ? [] : [[account, fit]];
  });
  const isExact = fits.some(([account, fit]) => account.user === user && fit === 'exact');
  if (!isExact && !areAll) return false;
  const possible = fits.filter(
    ([account, fit]) =>
      !isExact || (fit !== 'pattern' && (account.user === user || fit !== 'exact')),
  );
  return possible.length > 0 && possible.every(([account]) => account.hasSystemUser);
}

/** Returns undefined if the control account may read none of the sources. */
async function readAccounts(ask: Ask): Promise<Accounts | undefined> {
  for (const { sql, areAll } of SOURCES) {
    const rows = await ask(sql);
    if (rows === undefined) continue;
    const accounts = rows.map(([user, host, has]) => ({
      user: String(user),
      host: String(host),
      hasSystemUser: String(has) === '1',
    }));
    return { accounts, areAll };
  }
  return undefined;
}

const HOLDERS = "SELECT USER, HOST FROM mysql.global_grants WHERE PRIV = 'SYSTEM_USER'";

/**
 * Queries for the accounts, from the one that needs the most tables. The first includes roles that a login activates. The second includes
 * no roles. The last has only the accounts with the privilege.
 */
const SOURCES = [
  {
    sql: `WITH RECURSIVE holders (user, host) AS (${HOLDERS} UNION
      SELECT e.TO_USER, e.TO_HOST FROM mysql.role_edges e JOIN holders h ON e.FROM_USER = h.user AND e.FROM_HOST = h.host)
      SELECT u.User, u.Host, (u.User, u.Host) IN (${HOLDERS}) OR EXISTS (
        SELECT 1 FROM mysql.role_edges e JOIN holders h ON e.FROM_USER = h.user AND e.FROM_HOST = h.host
        LEFT JOIN mysql.default_roles d ON d.DEFAULT_ROLE_USER = e.FROM_USER AND d.DEFAULT_ROLE_HOST = e.FROM_HOST
          AND d.USER = e.TO_USER AND d.HOST = e.TO_HOST
        WHERE e.TO_USER = u.User AND e.TO_HOST = u.Host AND (d.USER IS NOT NULL OR @@activate_all_roles_on_login))
      FROM mysql.user u WHERE u.User = '' OR u.User IN (SELECT user FROM holders)`,
    areAll: true,
  },
  {
    sql: `SELECT User, Host, (User, Host) IN (${HOLDERS}) FROM mysql.user
      WHERE User = '' OR User IN (SELECT USER FROM mysql.global_grants WHERE PRIV = 'SYSTEM_USER')`,
    areAll: true,
  },
  {
    sql: `SELECT USER, HOST, 1 FROM mysql.global_grants WHERE PRIV = 'SYSTEM_USER'`,
    areAll: false,
  },
] as const;

/** The list shows a session inside a DEFINER routine under the definer. Only `threads` keeps the user and the host of the login. */
async function readLogins(ask: Ask, sessions: readonly Session[]): Promise<ReadonlySet<unknown>> {
  const ids = sessions.map(({ id }) => id.toString()).join(', ');
  const rows = await ask(
    `SELECT PROCESSLIST_ID, PROCESSLIST_USER, PROCESSLIST_HOST FROM performance_schema.threads WHERE PROCESSLIST_ID IN (${ids})`,
  );
  return new Set((rows ?? []).map((row) => row.map(String).join('\n')));
}

function loginOf({ id, user, host }: Session): string {
  return [id.toString(), user, hostOf(host)].join('\n');
}

function isAsleep({ command }: Session): boolean {
  return command.toLowerCase() === 'sleep';
}

function hostOf(host: string): string {
  return clientPort(host) === undefined ? host : host.slice(0, host.lastIndexOf(':'));
}
