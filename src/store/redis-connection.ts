import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';
import { backoffMs } from '../domain/deadline.ts';

const SHORTEST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;
/** The most commands that wait for a reply. Further commands fail at once. */
const MAX_COMMANDS = 10_000;

/** The address of Redis, the credentials, and the time limit. */
export interface RedisSettings {
  readonly host: string;
  readonly port: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly database?: number | undefined;
  /** TLS with a verified certificate. `ca` is the trusted authority in PEM. By default, the authorities of Node.js are trusted. */
  readonly tls?: { readonly ca?: string | undefined } | undefined;
  /** The time limit of a command, and of each step of connecting, in milliseconds. */
  readonly timeoutMs?: number | undefined;
}

/** Receives one `lost` and one `back` for each outage. */
export interface RedisEvents {
  lost(error: unknown): void;
  back(): void;
}

/** A reply of Redis in RESP 2. */
export type RedisReply = string | number | null | readonly RedisReply[];

type Client = ReturnType<typeof newClient>;

/**
 * A connection to Redis that reconnects whenever it is lost, without a limit. A command without a connection fails at once.
 * node-redis limits the time until a command is sent, but not the time until its reply. Here, a late reply breaks the connection.
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

  /** Begins to connect. Reports an unreachable Redis to `events`, and throws no error. */
  constructor(settings: RedisSettings, events: RedisEvents) {
    this.#settings = settings;
    this.#events = events;
    this.#timeoutMs = settings.timeoutMs ?? 1000;
    this.#ended = this.#stayConnected();
  }

  /** True if a command can be sent. */
  get isReady(): boolean {
    return this.#client !== undefined;
  }

  /** Calls the listener for each new connection, before any command can use it. */
  onReady(listener: () => void): void {
    this.#whenReady.push(listener);
  }

  /** Sends a command. Rejects with the error of Redis, or if there is no connection, or if the reply is late. */
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

  /** Closes the connection without reconnecting. Commands in progress fail. */
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
      // A connection of more than 4 s resets the count. A connection that breaks earlier counts as a failure.
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
    // A timeout here costs an AbortSignal for each command, and does not limit the reply.
    commandOptions: { timeout: 0 },
  });
}
