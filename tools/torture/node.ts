import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import { startServer, type OwnServer } from '../own-server.ts';
import type { ServerKind } from '../server-binaries.ts';
import { SessionProxy } from '../session-proxy.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import type { History, Occurrence } from './history.ts';

/** An account of a server. */
export interface Account {
  readonly user: string;
  readonly password: string;
}

/** The account of the clients, with all privileges in the database `app`. */
export const APP: Account = { user: 'app', password: 'app-of-the-torture' };
/** The account of the service. */
export const CONTROL: Account = { user: 'control', password: 'control-of-the-torture' };
/** The account of the observer. */
export const ROOT: Account = { user: 'root', password: '' };

/** A server that needs longer to shut down is killed. With replicas and long statements, it can need half a minute. */
const SHUTDOWN_MS = 2_000;

/** A server that is crashed, paused and restarted, and the proxy through which the service reaches it. */
export class TortureNode {
  readonly kind: ServerKind;
  readonly proxy: TcpProxy;
  /** The proxy that answers each KILL itself; used only after `useSessionProxy(true)`. */
  readonly #sessionProxy: SessionProxy;
  /** The number of the running incarnation, or of the last one, from 1. */
  incarnation = 1;
  /** False from shortly before the end of an incarnation until the next one accepts logins. */
  isUp = true;
  readonly #server: OwnServer;
  readonly #pidFile: string;
  #history: History | undefined;
  #begunAt: number;
  #pid: number;

  /** Starts a server with the accounts and the table `app.t`. Rejects with a sentence if that fails. */
  static async start(kind: ServerKind, say: (line: string) => void): Promise<TortureNode> {
    const begunAt = performance.now();
    const server = await startServer(kind, { say, arguments: ['--max-connections=1000'] });
    try {
      const pidFile = await prepare(server);
      const proxy = await TcpProxy.start(server.host, server.port);
      const sessionProxy = await SessionProxy.start(server.host, server.port);
      return new TortureNode(kind, server, { proxy, sessionProxy }, begunAt, pidFile);
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  private constructor(
    kind: ServerKind,
    server: OwnServer,
    { proxy, sessionProxy }: { readonly proxy: TcpProxy; readonly sessionProxy: SessionProxy },
    begunAt: number,
    pidFile: string,
  ) {
    this.kind = kind;
    this.proxy = proxy;
    this.#sessionProxy = sessionProxy;
    this.#server = server;
    this.#begunAt = begunAt;
    this.#pidFile = pidFile;
    this.#pid = this.#readPid();
  }

  /** Records later events in this history, and the begin of the running incarnation. */
  recordIn(history: History): void {
    this.#history = history;
    const { kind: node, incarnation } = this;
    history.events.push({ at: this.#begunAt, node, what: 'incarnation begins', incarnation });
  }

  /** Connects directly to the server. */
  async connect(account: Account): Promise<Connection> {
    return await connectTo(this.#server, account);
  }

  /** The server's own port. */
  get port(): number {
    return this.#server.port;
  }

  /** Sends new connections of the service through the session proxy, or directly to the server. Cuts the open ones. */
  useSessionProxy(isUsed: boolean): void {
    const { port } = isUsed ? this.#sessionProxy : this.#server;
    this.proxy.target = { host: this.#server.host, port };
    this.proxy.strike('to client', { kind: 'cut' });
  }

  /** Stops the server process. Its connections stay open. */
  pause(): void {
    this.#record({ what: 'server is paused' });
    process.kill(this.#pid, 'SIGSTOP');
  }

  /** Continues the server process. */
  resume(): void {
    process.kill(this.#pid, 'SIGCONT');
    this.#record({ what: 'server goes on' });
  }

  /** Ends the incarnation with SIGKILL or SIGTERM, and starts the next one on the same data. */
  async restart(how: 'crash' | 'shutdown'): Promise<void> {
    this.isUp = false;
    const { incarnation } = this;
    this.#record({ what: 'incarnation ends', incarnation, how });
    process.kill(this.#pid, how === 'crash' ? 'SIGKILL' : 'SIGTERM');
    const deadline = performance.now() + SHUTDOWN_MS;
    while (isRunning(this.#pid)) {
      if (performance.now() > deadline) process.kill(this.#pid, 'SIGKILL');
      await sleep(5);
    }
    this.#record({ what: 'incarnation has ended', incarnation });
    this.incarnation += 1;
    this.#begunAt = performance.now();
    this.#record({ what: 'incarnation begins', incarnation: this.incarnation });
    await this.#server.restart();
    this.#pid = this.#readPid();
    await cachePassword(this.#server);
    this.#record({ what: 'incarnation is ready', incarnation: this.incarnation });
    this.isUp = true;
  }

  /** Ends the server and the proxies. */
  async stop(): Promise<void> {
    this.isUp = false;
    this.#record({ what: 'incarnation ends', incarnation: this.incarnation, how: 'crash' });
    await this.proxy.close();
    await this.#sessionProxy.close();
    await this.#server.stop();
  }

  #record(occurrence: Occurrence): void {
    this.#history?.on(this.kind, occurrence);
  }

  #readPid(): number {
    return Number(readFileSync(this.#pidFile, 'utf8'));
  }
}

async function connectTo(server: OwnServer, { user, password }: Account): Promise<Connection> {
  return await createConnection({
    host: server.host,
    port: server.port,
    user,
    password,
    connectTimeout: 5_000,
    maxPreparedStatements: 1,
    supportBigNumbers: true,
    bigNumberStrings: true,
  });
}

/** Makes the accounts and the table. Returns the path of the file with the process id of the running incarnation. */
async function prepare(server: OwnServer): Promise<string> {
  const root = await connectTo(server, ROOT);
  const killAny = server.flavour === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';
  for (const { user, password } of [APP, CONTROL]) {
    await root.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
  }
  await root.query(`GRANT PROCESS, ${killAny} ON *.* TO '${CONTROL.user}'@'%'`);
  await root.query(`CREATE DATABASE ${APP.user}`);
  await root.query(`GRANT ALL ON ${APP.user}.* TO '${APP.user}'@'%'`);
  await root.query('CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(100))');
  const [rows] = await root.query<RowDataPacket[]>('SELECT @@datadir AS home, @@pid_file AS file');
  root.destroy();
  await cachePassword(server);
  return resolve(String(rows[0]?.['home']), String(rows[0]?.['file']));
}

/** Logs in once as the control account. MySQL then caches the password, and only then accepts the service without TLS. */
async function cachePassword(server: OwnServer): Promise<void> {
  if (server.flavour === 'mysql') await (await connectTo(server, CONTROL)).end();
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
