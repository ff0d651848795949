import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';
import { backoffMs } from '../domain/deadline.ts';

const SHORTEST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;
/** Commands that may wait for their replies; further ones fail at once. */
const MAX_COMMANDS = 10_000;

/** Where Redis is, and how long it may take. */
export interface RedisSettings {
  readonly host: string;
  readonly port: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly database?: number | undefined;
  /** The certificate is verified, with this PEM instead of the system's authorities if there is one. */
  readonly tls?: { readonly ca?: string | undefined } | undefined;
  /** For a command; so long takes each of the steps of connecting at most, too. */
  readonly timeoutMs?: number | undefined;
}

/** Who wants to know how the connection fares; each is told once an outage. */
export interface RedisEvents {
  lost(error: unknown): void;
  back(): void;
}

/** What Redis replies in RESP 2. */
export type RedisReply = string | number | null | readonly RedisReply[];

type Client = ReturnType<typeof newClient>;

/**
 * A connection to Redis that is made anew, as long as it takes, whenever it is lost. Commands never wait for one: without it they fail at once.
 * node-redis has limits for a command that waits to be sent, but none for its reply; here a reply that is late costs the connection.
 */
export class RedisConnection {
  readonly #settings: RedisSettings;
  readonly #events: RedisEvents;
  readonly #timeoutMs: number;
  readonly #closing = new AbortController();
  readonly #whenReady: (() => void)[] = [];
  readonly #ended: Promise<void>;
  #client: Client | undefined;
  #isOut = false;

  /** Begins to connect; that Redis is down is told to `events` and no error. */
  constructor(settings: RedisSettings, events: RedisEvents) {
    this.#settings = settings;
    this.#events = events;
    this.#timeoutMs = settings.timeoutMs ?? 1000;
    this.#ended = this.#stayConnected();
  }

  /** Whether a command can be sent. */
  get isReady(): boolean {
    return this.#client !== undefined;
  }

  /** Has it called for each new connection, before anybody else can use it. */
  onReady(listener: () => void): void {
    this.#whenReady.push(listener);
  }

  /** Sends a command. Rejects with Redis's own error, or when there is no connection, or when the reply does not come in time. */
  async send(...command: string[]): Promise<RedisReply> {
    const client = this.#client;
    if (client === undefined) throw new Error('There is no connection to Redis.');
    const limit = setTimeout(() => {
      this.#lose(client, new Error(`Redis did not reply within ${this.#timeoutMs} ms.`));
    }, this.#timeoutMs);
    try {
      return await client.sendCommand<RedisReply>(command);
    } finally {
      clearTimeout(limit);
    }
  }

  /** Ends the connection for good; commands that are under way fail. */
  async close(): Promise<void> {
    this.#closing.abort();
    if (this.#client !== undefined) this.#lose(this.#client, new Error('closed'));
    await this.#ended;
  }

  async #stayConnected(): Promise<void> {
    for (let failures = 0; !this.#closing.signal.aborted; failures++) {
      const since = performance.now();
      const { client, lost } = this.#create();
      if (await this.#connect(client)) await lost;
      // One that held for a while starts the count again; one that breaks at once is no success.
      if (performance.now() - since > 2 * LONGEST_PAUSE_MS) failures = 0;
      const pause = backoffMs(failures, SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS);
      await sleep(pause, undefined, { signal: this.#closing.signal, ref: false }).catch(
        () => undefined,
      );
    }
  }

  #create(): { readonly client: Client; readonly lost: Promise<void> } {
    const client = newClient(this.#settings, this.#timeoutMs);
    client.on('error', (error: unknown) => {
      this.#lose(client, error);
    });
    return {
      client,
      lost: new Promise((resolve) => {
        client.once('end', resolve);
        client.once('terminated', resolve);
      }),
    };
  }

  async #connect(client: Client): Promise<boolean> {
    let limit: NodeJS.Timeout | undefined;
    client.once('connect', () => {
      limit = setTimeout(() => {
        this.#lose(client, new Error(`Redis did not greet within ${this.#timeoutMs} ms.`));
      }, this.#timeoutMs);
    });
    try {
      await client.connect();
    } catch (error) {
      this.#lose(client, error);
      return false;
    } finally {
      clearTimeout(limit);
    }
    if (this.#closing.signal.aborted || !client.isReady) {
      client.destroy();
      return false;
    }
    this.#client = client;
    for (const listener of this.#whenReady) listener();
    if (this.#isOut) this.#events.back();
    this.#isOut = false;
    return true;
  }

  #lose(client: Client, error: unknown): void {
    if (this.#client === client) this.#client = undefined;
    client.destroy();
    if (this.#isOut || this.#closing.signal.aborted) return;
    this.#isOut = true;
    this.#events.lost(error);
  }
}

function newClient(settings: RedisSettings, timeoutMs: number) {
  const { host, port, tls, username, password, database } = settings;
  const socket = { host, port, connectTimeout: timeoutMs, reconnectStrategy: false as const };
  return createClient({
    socket: tls
      ? {
          ...socket,
          tls: true,
          ...(isIP(host) === 0 && { servername: host }),
          ...(tls.ca !== undefined && { ca: tls.ca }),
        }
      : socket,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
    RESP: 2,
    maintNotifications: 'disabled',
    disableClientInfo: true,
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_COMMANDS,
    // It would be an AbortSignal a command, for nothing (see above).
    commandOptions: { timeout: 0 },
  });
}
