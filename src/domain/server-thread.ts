/** A thread as the node's `performance_schema` shows it. */
export interface ServerThread {
  /** Its instrument, such as `thread/sql/one_connection`. */
  readonly name: string;
  /** How its client has connected, such as `TCP/IP`; null for a thread that serves no client. */
  readonly connectionType: string | null;
  /** The account that its client logged in with, also inside a routine of another account; null for a thread that serves no client. */
  readonly loginUser?: string | null;
}

/** What a slash is followed by in the names of threads that serve no client: `thread/sql/replica_worker`, `thread/group_rpl/…`. */
const SERVER_THREAD =
  /\/(?:binlog|bootstrap|clone|compress_gtid|delayed|event|group_rpl|main$|manager|replica|rpl|semisync|signal|slave)/i;

/** Threads of clients: of the classic protocol (most thread pools, too) and of the X Protocol. */
const CLIENT_THREADS: readonly string[] = ['thread/sql/one_connection', 'thread/mysqlx/worker'];
/** Those of MySQL Enterprise's thread pool. */
const POOL_THREAD = 'thread/thread_pool/tp_one_connection';

/** True if a thread serves a client: the server knows how that client has connected. */
export function servesClient({ name, connectionType }: ServerThread): boolean {
  if (isServerThread(name)) return false;
  return name === POOL_THREAD || (connectionType !== null && connectionType !== '');
}

/** True if threads of this name never serve a client. */
export function isServerThread(name: string): boolean {
  return SERVER_THREAD.test(name);
}

/** True if a thread proves that it serves a client that has not come over the Unix socket. */
export function isOverNetwork({ name, connectionType }: ServerThread): boolean {
  const isOfClient = name === POOL_THREAD || CLIENT_THREADS.includes(name);
  return isOfClient && /^(?:TCP\/IP|SSL\/TLS)$/.test(connectionType ?? '');
}
