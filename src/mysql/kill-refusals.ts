import type { Deadline } from '../domain/deadline.ts';
import type { KillResult, Node } from '../domain/node.ts';
import type { Session } from '../domain/session.ts';
import { ServiceError } from '../errors.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import { grantMissing, hasProcedure, procedureMissing, readGrants, type Grants } from './grants.ts';
import type { ServerIdentity } from './identity.ts';
import { isDenial, procedureFor } from './kill.ts';
import { serverErrorNumber } from './server-errors.ts';
import { nodeTrouble } from './node-trouble.ts';
import { sessionsOfSystemUsers } from './system-users.ts';

/** Finds the reasons for which a node refuses the KILLs of one request. Reads the grants once after the first refusal. */
export class KillRefusals {
  readonly #connection: DriverConnection;
  readonly #identity: ServerIdentity;
  readonly #node: Node;
  readonly #atLogin: Grants;
  #grants: Promise<Grants> | undefined;

  /** `atLogin` are the grants at the login of the connection. */
  constructor(connection: DriverConnection, identity: ServerIdentity, node: Node, atLogin: Grants) {
    [this.#connection, this.#identity, this.#node] = [connection, identity, node];
    this.#atLogin = atLogin;
  }

  /**
   * Returns the sessions whose KILL the node is known to refuse, with the reason. Sends no KILL; the node can refuse others too.
   * Throws `node_unavailable`.
   */
  async predict(
    sessions: readonly Session[],
    deadline: Deadline,
    areStatements = false,
  ): Promise<ReadonlyMap<bigint, ServiceError>> {
    const [connection, node] = [this.#connection, this.#node];
    const refused = (some: readonly Session[], trouble: ServiceError) =>
      new Map(some.map(({ id }) => [id, trouble]));
    try {
      const grants = await readGrants(connection, this.#identity, node, deadline);
      const { missingToKill } = grants;
      if (missingToKill !== undefined && !this.#atLogin.keepsKill) {
        return refused(sessions, grantMissing(missingToKill));
      }
      if (node.killWith === 'rds_kill') {
        const procedure = procedureFor(areStatements);
        const isThere = await hasProcedure(connection, node, deadline, procedure);
        return refused(isThere ? [] : sessions, procedureMissing(procedure));
      }
      if (!this.#hasSystemUsers() || this.#atLogin.hasSystemUser || grants.hasSystemUser) {
        return new Map();
      }
      const spared = await sessionsOfSystemUsers(connection, node, sessions, deadline);
      return refused(spared, systemUser());
    } catch (error) {
      if (serverErrorNumber(error) !== undefined) return new Map();
      throw nodeTrouble(error, node.connectTimeoutMs);
    }
  }

  /** Returns the result with the reason of a refusal; `not_sent` if the node may accept the KILL over a new connection. Never throws. */
  async explain(result: KillResult, deadline: Deadline): Promise<KillResult> {
    if (!isDenial(result, this.#node)) return result;
    const cause = result.trouble?.cause;
    this.#grants ??= readGrants(this.#connection, this.#identity, this.#node, deadline);
    const grants = await this.#grants.catch(() => undefined);
    if (grants === undefined) return result;
    if (grants.missingToKill !== undefined) {
      return { outcome: 'refused', trouble: grantMissing(grants.missingToKill, cause) };
    }
    // The procedure is the provider's own, so its errors do not show that the node itself protects the session.
    if (this.#node.killWith === 'rds_kill') return result;
    if (!this.#hasSystemUsers() || this.#atLogin.hasSystemUser) {
      // TiDB's Security Enhanced Mode requires further privileges.
      if (this.#identity.flavour === 'tidb') return result;
      return { outcome: 'refused', trouble: protectedByNode(cause) };
    }
    if (!grants.hasSystemUser) return { outcome: 'refused', trouble: systemUser(cause) };
    // MySQL reads SYSTEM_USER at the login, and this connection is older than the GRANT.
    this.#connection.break();
    return { outcome: 'not_sent', trouble: result.trouble };
  }

  #hasSystemUsers(): boolean {
    const { flavour, version } = this.#identity;
    return flavour === 'mysql' && version >= 800 && this.#node.killWith === 'kill';
  }
}

function systemUser(cause?: unknown): ServiceError {
  return new ServiceError(
    'node_unavailable',
    {
      'en-us':
        'The node protects a session whose account has SYSTEM_USER, which the control account lacks. End it on the node, or GRANT SYSTEM_USER ON *.* TO the control account. That also exposes system threads.',
      'zh-cn':
        '节点保护拥有SYSTEM_USER权限的账号的会话，而控制账号没有该权限。请在节点上终止该会话，或执行GRANT SYSTEM_USER ON *.* TO控制账号。该授权也会使系统线程失去保护。',
    },
    cause === undefined ? undefined : { cause },
  );
}

function protectedByNode(cause: unknown): ServiceError {
  const number = serverErrorNumber(cause) ?? 0;
  return new ServiceError(
    'node_unavailable',
    {
      'en-us': `The node protects a session itself (error ${number}); the control account lacks no privilege. It may be an applier of Galera or an internal account of the server. Ask the administrator of the node to end it.`,
      'zh-cn': `节点自身保护该会话（错误${number}），控制账号并不缺少权限。该会话可能属于Galera复制线程或服务器自有账号。请交由节点管理员处理。`,
    },
    { cause },
  );
}
