import type { Deadline } from '../domain/deadline.ts';
import type { Node } from '../domain/node.ts';
import { ServiceError } from '../errors.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import type { ServerIdentity } from './identity.ts';

/** The privileges of the control account, as SHOW GRANTS shows them. */
export interface Grants {
  /** The privileges to GRANT to the control account, such as `PROCESS ON *.*`. */
  readonly missing: readonly string[];
  /** The part of `missing` that a KILL needs. */
  readonly missingToKill: string | undefined;
  /** True if MySQL lets the control account end sessions whose account has SYSTEM_USER. */
  readonly hasSystemUser: boolean;
  /** True if a connection with these grants at its login can still end sessions after a REVOKE. */
  readonly keepsKill: boolean;
}

/** Returns the grants. Throws `node_unavailable`, with the first missing GRANT, unless the control account may list and end other accounts' sessions. */
export async function requireGrants(
  connection: DriverConnection,
  identity: ServerIdentity,
  node: Node,
  deadline: Deadline,
): Promise<Grants> {
  const grants = await readGrants(connection, identity, node, deadline);
  const [first] = grants.missing;
  if (first !== undefined) throw grantMissing(first);
  return grants;
}

/** Returns the privileges that the control account lacks, such as `PROCESS ON *.*`. Throws the driver's error. */
export async function missingGrants(
  connection: DriverConnection,
  identity: ServerIdentity,
  node: Node,
  deadline: Deadline,
): Promise<readonly string[]> {
  return (await readGrants(connection, identity, node, deadline)).missing;
}

/**
 * Reads the grants. Without PROCESS a server lists only the account's own sessions, and every other id would seem unknown.
 * SHOW GRANTS includes the active roles of the account; only default roles are active. Throws the driver's error.
 */
export async function readGrants(
  connection: DriverConnection,
  identity: ServerIdentity,
  node: Node,
  deadline: Deadline,
): Promise<Grants> {
  const { rows } = await connection.query('SHOW GRANTS', node.listTimeoutMs, deadline);
  const grants = rows.map(([grant]) => (typeof grant === 'string' ? grant : ''));
  const everywhere = new Set(grants.flatMap((grant) => privilegesOn(grant, '*.*')));
  const has = (...privileges: string[]): boolean =>
    everywhere.has('ALL PRIVILEGES') || privileges.some((privilege) => everywhere.has(privilege));
  const [wanted, ...alternatives] = killPrivileges(identity);
  const [mayKill, toKill] =
    node.killWith === 'rds_kill'
      ? [has('EXECUTE') || mayCallRdsKill(grants), 'EXECUTE ON PROCEDURE mysql.rds_kill']
      : [has(wanted, ...alternatives), `${wanted} ON *.*`];
  return {
    missing: [...(has('PROCESS') ? [] : ['PROCESS ON *.*']), ...(mayKill ? [] : [toKill])],
    missingToKill: mayKill ? undefined : toKill,
    hasSystemUser: has('SYSTEM_USER'),
    keepsKill: readAtLogin(node, identity).some((privilege) => has(privilege)),
  };
}

/** Returns the privileges for a KILL that a server reads at the login. It reads the others for each statement. */
function readAtLogin({ killWith }: Node, { flavour }: ServerIdentity): readonly string[] {
  if (killWith === 'rds_kill') return ['EXECUTE'];
  return flavour === 'tidb' ? [] : ['SUPER', 'CONNECTION ADMIN'];
}

/** Returns the privileges that let an account end other accounts' sessions; the first is the one to grant. */
function killPrivileges({ flavour, version }: ServerIdentity): readonly [string, ...string[]] {
  if (flavour === 'tidb') return ['CONNECTION_ADMIN', 'SUPER'];
  if (flavour === 'mariadb') {
    if (version >= 1100) return ['CONNECTION ADMIN'];
    return version >= 1005 ? ['CONNECTION ADMIN', 'SUPER'] : ['SUPER'];
  }
  return version >= 800 ? ['CONNECTION_ADMIN', 'SUPER'] : ['SUPER'];
}

function privilegesOn(grant: string, object: string): string[] {
  const [, privileges = '', on] = /^GRANT (.+?) ON (\S+|PROCEDURE \S+) TO /i.exec(grant) ?? [];
  if (on?.replaceAll('`', '').toLowerCase() !== object) return [];
  return privileges
    .toUpperCase()
    .split(',')
    .map((privilege) => privilege.trim());
}

function mayCallRdsKill(grants: readonly string[]): boolean {
  return ['procedure mysql.rds_kill', 'mysql.*'].some((object) =>
    grants.some((grant) =>
      privilegesOn(grant, object).some((privilege) => /^(EXECUTE|ALL PRIVILEGES)$/.test(privilege)),
    ),
  );
}

/** A procedure of a cloud's MySQL in place of KILL. */
type KillProcedure = 'rds_kill' | 'rds_kill_query';

/** Returns true if the node has this procedure in `mysql`, and the control account may execute it. Throws the driver's error. */
export async function hasProcedure(
  connection: DriverConnection,
  node: Node,
  deadline: Deadline,
  procedure: KillProcedure = 'rds_kill',
): Promise<boolean> {
  const sql = `SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'mysql' AND ROUTINE_NAME = '${procedure}'`;
  return (await connection.query(sql, node.listTimeoutMs, deadline)).rows.length > 0;
}

/** Returns the error for a privilege that the control account lacks, such as `PROCESS ON *.*`. */
export function grantMissing(grant: string, cause?: unknown): ServiceError {
  return new ServiceError(
    'node_unavailable',
    {
      'en-us': `The control account lacks a privilege on the node: GRANT ${grant}, or make the role that has it a default role.`,
      'zh-cn': `控制账号在节点上缺少权限：请执行GRANT ${grant}，或将拥有该权限的角色设为默认角色。`,
    },
    cause === undefined ? undefined : { cause },
  );
}

/** Returns the error for a node without the procedure that ends its sessions. */
export function procedureMissing(procedure: KillProcedure, cause?: unknown): ServiceError {
  return new ServiceError(
    'node_unavailable',
    {
      'en-us': `The node has no procedure mysql.${procedure}, which the configuration asks for.`,
      'zh-cn': `节点上没有配置所要求的存储过程mysql.${procedure}。`,
    },
    cause === undefined ? undefined : { cause },
  );
}
