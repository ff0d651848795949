import { setTimeout as sleep } from 'node:timers/promises';
import type { QueryValues } from 'mysql2';
import { openClient, type Client } from './client.ts';
import type { History, Role } from './history.ts';
import { APP, type TortureNode } from './node.ts';
import type { Random } from './random.ts';

const TARGETS = { victim: 40, bystander: 12 } as const;
const MAX_USED = 150;
const OPENERS = 4;
/** The number of ids of dead sessions that are kept for later requests. */
const KEPT_IDS = 200;
const ROWS = 300;

/** The clients of one node. They come and go; requests may end the sessions of victims, which are then replaced. */
export class Population {
  /** The ids of sessions that ended in this incarnation, the latest last. */
  dead: bigint[] = [];
  /** The ids that the earlier incarnation used, with the hosts of their sessions. */
  earlier: { readonly id: bigint; readonly host: string }[] = [];
  /** Bystanders that became victims because of their low ids, which the next incarnation soon uses again. */
  #released: readonly Client[] = [];
  /** The ids that this incarnation has used, with the hosts of their sessions. */
  #given: { readonly id: bigint; readonly host: string }[] = [];
  /** Victims that only one request may have, so that the effect of this request is visible. */
  readonly #singleUse = new Set<Client>();
  readonly #alive = {
    victim: new Set<Client>(),
    /** The single-use victims that a request has had. */
    used: new Set<Client>(),
    bystander: new Set<Client>(),
  };
  readonly #node: TortureNode;
  readonly #history: History;
  readonly #random: Random;
  #isEnding = false;
  #incarnation = 0;
  #openers: Promise<void>[] = [];

  constructor(node: TortureNode, history: History, random: Random) {
    this.#node = node;
    this.#history = history;
    this.#random = random;
  }

  /** Returns a client whose session may be killed, or undefined if there is none. */
  pickVictim(random: Random): Client | undefined {
    const released = this.#released.filter((client) => this.#alive.victim.has(client));
    const isReleased = random.chance(0.8) && released.length > 0;
    const victim = random.pick(isReleased ? released : [...this.#alive.victim]);
    if (victim !== undefined && this.#singleUse.delete(victim)) {
      this.#alive.victim.delete(victim);
      this.#alive.used.add(victim);
    }
    return victim;
  }

  /** True for the id of a bystander, which no request may have. */
  isBystander(id: bigint): boolean {
    return [...this.#alive.bystander].some((client) => client.id === id);
  }

  /** Starts opening sessions. */
  begin(): void {
    this.#openers = Array.from({ length: OPENERS }, () => this.#open());
  }

  /** Turns the oldest bystanders into victims. */
  release(count: number): void {
    const oldest = [...this.#alive.bystander].slice(0, count);
    for (const client of oldest) {
      this.#alive.bystander.delete(client);
      this.#alive.victim.add(client);
    }
    this.#released = oldest;
  }

  /** Stops opening sessions. Open sessions stay. */
  async freeze(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#openers);
  }

  /** Closes all sessions. */
  closeAll(): void {
    for (const clients of Object.values(this.#alive)) for (const client of clients) client.close();
  }

  async #open(): Promise<void> {
    const random = this.#random;
    while (!this.#isEnding) {
      const role = this.#missing();
      if (!this.#node.isUp || role === undefined) {
        await sleep(5);
        continue;
      }
      this.#noteIncarnation();
      const lifeMs =
        role === 'victim' ? random.integer(500, 10_000) : random.integer(2_000, 40_000);
      const does = random.weighted({ idle: 5, sleep: 3, transaction: 2 });
      const sleepSeconds = random.integer(2, 8);
      try {
        const client = await openClient(this.#node, this.#history, APP, role);
        this.#follow(client, role, lifeMs);
        if (does === 'sleep') runUnwatched(client, `SELECT SLEEP(${sleepSeconds})`);
        if (does === 'transaction') fillTransaction(client);
      } catch {
        // The server is down or paused.
        await sleep(20);
      }
    }
  }

  #missing(): 'victim' | 'bystander' | undefined {
    // Bystanders are opened first, so that they get the lowest ids.
    if (this.#alive.bystander.size < TARGETS.bystander) return 'bystander';
    const hasRoom = this.#alive.used.size < MAX_USED;
    return hasRoom && this.#alive.victim.size < TARGETS.victim ? 'victim' : undefined;
  }

  #noteIncarnation(): void {
    if (this.#incarnation === this.#node.incarnation) return;
    this.#incarnation = this.#node.incarnation;
    this.dead = [];
    this.earlier = this.#given;
    this.#given = [];
  }

  #follow(client: Client, role: Role & keyof typeof TARGETS, lifeMs: number): void {
    this.#alive[role].add(client);
    const { incarnation } = this.#node;
    this.#given = [...this.#given, { id: client.id, host: client.host }].slice(0, KEPT_IDS);
    if (this.#random.chance(0.5)) this.#singleUse.add(client);
    const life = setTimeout(() => {
      client.close();
    }, lifeMs).unref();
    void client.over.then(() => {
      clearTimeout(life);
      for (const set of [...Object.values(this.#alive), this.#singleUse]) set.delete(client);
      if (incarnation === this.#node.incarnation) {
        this.dead = [...this.dead, client.id].slice(-KEPT_IDS);
      }
    });
  }
}

function runUnwatched({ connection }: Client, sql: string, values: QueryValues = []): void {
  connection.query(sql, values).catch(() => undefined);
}

function fillTransaction(client: Client): void {
  runUnwatched(client, 'START TRANSACTION');
  const rows = Array.from({ length: ROWS }, (_, at) => [`row ${at} of session ${client.id}`]);
  runUnwatched(client, 'INSERT INTO app.t (v) VALUES ?', [rows]);
}
