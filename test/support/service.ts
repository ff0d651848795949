import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parse } from 'lossless-json';
import request from 'supertest';
import { createApp } from '../../src/app.ts';
import { NO_AUDIT, type Audit } from '../../src/domain/termination.ts';
import type { KillHistory } from '../../src/domain/kill-history.ts';
import type { AnswerStore } from '../../src/domain/answer-store.ts';
import type { App } from '../../src/http/express-prototypes.ts';
import type { Node, NodeKey, Nodes } from '../../src/domain/node.ts';
import { IdempotentResponses } from '../../src/domain/idempotent-responses.ts';
import { SessionService } from '../../src/domain/session-service.ts';
import { AccessKeys, type AccessKey } from '../../src/identity/access-keys.ts';
import { Authenticator, StaticTokens, type StaticToken } from '../../src/identity/authenticator.ts';
import type { KeystoneTokens } from '../../src/identity/keystone-tokens.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { FileRegistry } from '../../src/registry/node-registry.ts';
import { MemoryAnswers } from '../../src/store/memory-answers.ts';
import { PACKAGE } from './built-package.ts';
import { nodeKey, processesPath } from './ids.ts';
import { watched } from './openapi.ts';

/** A token with all actions in the project of the examples. */
export const TOKEN = 'token-of-the-tests';

/** An answer whose integers are bigints. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** A service in this process. */
export interface TestService {
  readonly app: App;
  /** All log lines. */
  readonly events: LoggedEvent[];
  /** Sends a DELETE with these ids. */
  kill(ids: readonly bigint[], key?: NodeKey): Promise<Answer>;
  /** Sends a dry run with these ids, for example to look for sessions of a node with many pages. */
  find(ids: readonly bigint[]): Promise<Answer>;
  /** Sends a GET with this query. */
  list(query?: string, key?: NodeKey): Promise<Answer>;
  /** Sends a GET for a path below that of the node, such as `/blockers`. */
  get(path: string): Promise<Answer>;
  /** The sessions of every page of the list. */
  listAll(): Promise<ListedSession[]>;
}

export interface ListedSession {
  readonly id: bigint;
  readonly user: string;
  readonly host: string;
}

/** A log line. */
export interface LoggedEvent {
  readonly level: string;
  readonly message: string;
  readonly fields: object;
}

/** The caller that a token proves. */
export type Grant = Omit<StaticToken, 'sha256'>;

/** The settings of a service in this process. */
export interface ServiceSettings {
  readonly registry: readonly Node[];
  readonly nodes?: Nodes;
  readonly callers?: Readonly<Record<string, Grant>>;
  readonly maxProcesses?: number;
  readonly requestsPerMinute?: number;
  readonly answers?: AnswerStore;
  readonly audit?: Audit;
  readonly history?: KillHistory;
  readonly isReasonRequired?: boolean;
  readonly requestTimeoutMs?: number;
  readonly maxWaitSeconds?: number;
  readonly accessKeys?: readonly AccessKey[];
  readonly keystone?: KeystoneTokens;
  readonly internalUsers?: readonly string[];
  readonly requireClientPort?: boolean;
  readonly trustProxy?: boolean | number | string;
}

/** Creates the whole service in this process, with the MySQL adapter unless other nodes are given. */
export function createService(settings: ServiceSettings): TestService {
  const events: LoggedEvent[] = [];
  const everything: Grant = { user: 'ops', projectId: nodeKey.projectId, actions: ['*'] };
  const callers = { [TOKEN]: everything, ...settings.callers };
  const audit = settings.audit ?? NO_AUDIT;
  const stopping = new AbortController().signal;
  // Each waiting request adds a listener to the signal.
  setMaxListeners(0, stopping);
  const app = watched(
    createApp({
      sessions: new SessionService({
        registry: new FileRegistry(settings.registry),
        nodes: settings.nodes ?? new MysqlNodes(),
        rules: {
          internalUsers: settings.internalUsers ?? [],
          requireClientPort: settings.requireClientPort ?? true,
        },
        audit,
        stopping,
      }),
      identity: new Authenticator(
        new StaticTokens(
          Object.entries(callers).map(([token, caller]) => ({ ...caller, sha256: sha256(token) })),
        ),
        new AccessKeys(settings.accessKeys ?? []),
        settings.keystone,
      ),
      limits: {
        maxProcesses: settings.maxProcesses ?? 1000,
        maxBodyBytes: 262_144,
        isReasonRequired: settings.isReasonRequired ?? false,
        isAudited: settings.audit !== undefined,
        requestsPerMinute: settings.requestsPerMinute ?? 1_000_000,
        requestTimeoutMs: settings.requestTimeoutMs ?? 30_000,
        maxWaitSeconds: settings.maxWaitSeconds ?? 60,
      },
      log: { log: (level, message, fields) => events.push({ level, message, fields }) },
      idempotentResponses: new IdempotentResponses(
        settings.answers ?? new MemoryAnswers(),
        (error) => {
          throw error;
        },
      ),
      audit,
      history: settings.history,
      readiness: () => Promise.resolve({ isReady: true, parts: {} }),
      consoleFolder: pathToFileURL(join(PACKAGE, 'dist/console/')),
      trustProxy: settings.trustProxy ?? false,
    }),
  );
  const sendDelete = async (path: string, ids: readonly bigint[]): Promise<Answer> => {
    const sent = request(app)
      .delete(path)
      .set('X-Auth-Token', TOKEN)
      .type('application/json')
      .send(`{"processes":[${ids.join(',')}]}`);
    return answer(await sent);
  };
  const list: TestService['list'] = async (query = '', key = nodeKey) => {
    const sent = request(app)
      .get(`${processesPath(key)}${query}`)
      .set('X-Auth-Token', TOKEN);
    return answer(await sent);
  };
  return {
    app,
    events,
    list,
    async get(path) {
      const node = processesPath().replace(/\/processes$/, '');
      const sent = request(app).get(`${node}${path}`).set('X-Auth-Token', TOKEN);
      return answer(await sent);
    },
    async listAll() {
      const sessions: ListedSession[] = [];
      for (;;) {
        const { processes } = (await list(`?limit=100&offset=${sessions.length}`)).body as {
          processes: ListedSession[];
        };
        if (processes.length === 0) return sessions;
        sessions.push(...processes);
      }
    },
    kill: (ids, key = nodeKey) => sendDelete(processesPath(key), ids),
    find: (ids) => sendDelete(`${processesPath()}?dry_run=true`, ids),
  };
}

/** Returns the SHA-256 of a text in hex. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function answer(res: request.Response): Answer {
  const parseNumber = (digits: string): bigint => BigInt(digits);
  return {
    status: res.status,
    headers: res.headers,
    // supertest's own parser turns each integer into a double.
    body: parse(res.text, undefined, { parseNumber }),
  };
}
