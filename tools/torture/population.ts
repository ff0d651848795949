import { setTimeout as sleep } from 'node:timers/promises';
import type { QueryValues } from 'mysql2';
import { openClient, type Client } from './client.ts';
import type { History, Role } from './history.ts';
import { APP, type TortureNode } from './node.ts';
import type { Random } from './random.ts';

const TARGETS = { victim: 40, bystander: 12 } as const;
const MOST_SPENT = 150;
const OPENERS = 4;
/** How many ids of the dead are remembered, to be asked for again. */
const REMEMBERED = 200;
const ROWS = 300;

/** The clients of one node. They come and go by themselves; victims are also killed, and replaced. */
export class Population {
  /** Ids of sessions that were closed or killed in this incarnation, the latest last. */
  dead: bigint[] = [];
  /** Ids that an earlier incarnation had given out, with the host that had them. */
  earlier: { readonly id: bigint; readonly host: string }[] = [];
  /** Bystanders that may be killed after all, for their low ids: the next incarnation soon gives them out again. */
  #released: readonly Client[] = [];
  /** Those of this incarnation. */
  #given: { readonly id: bigint; readonly host: string }[] = [];
  /** Victims that may be asked for once only: so it shows what became of that one request. */
  readonly #shy = new Set<Client>();
  readonly #alive = {
    victim: new Set<Client>(),
    /** The shy that were asked for. */
    spent: new Set<Client>(),
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

  /** A client whose session may be killed, if there is one. */
  pickVictim(random: Random): Client | undefined {
    const released = this.#released.filter((client) => this.#alive.victim.has(client));
    const isReleased = random.chance(0.8) && released.length > 0;
    const victim = random.pick(isReleased ? released : [...this.#alive.victim]);
    if (victim !== undefined && this.#shy.delete(victim)) {
      this.#alive.victim.delete(victim);
      this.#alive.spent.add(victim);
    }
    return victim;
  }

  /** Whether this id must not be asked for. */
  isBystanders(id: bigint): boolean {
    return [...this.#alive.bystander].some((client) => client.id === id);
  }

  begin(): void {
    this.#openers = Array.from({ length: OPENERS }, () => this.#open());
  }

  /** Lets the longest-lived bystanders be killed. */
  release(count: number): void {
    const oldest = [...this.#alive.bystander].slice(0, count);
    for (const client of oldest) {
      this.#alive.bystander.delete(client);
      this.#alive.victim.add(client);
    }
    this.#released = oldest;
  }

  /** Opens no further session; those that are there stay. */
  async freeze(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#openers);
  }

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
        // The server went down, or is paused.
        await sleep(20);
      }
    }
  }

  #missing(): 'victim' | 'bystander' | undefined {
    // Bystanders first: they get the lowest ids.
    if (this.#alive.bystander.size < TARGETS.bystander) return 'bystander';
    const hasRoom = this.#alive.spent.size < MOST_SPENT;
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
    this.#given = [...this.#given, { id: client.id, host: client.host }].slice(0, REMEMBERED);
    if (this.#random.chance(0.5)) this.#shy.add(client);
    const life = setTimeout(() => {
      client.close();
    }, lifeMs).unref();
    void client.over.then(() => {
      clearTimeout(life);
      for (const set of [...Object.values(this.#alive), this.#shy]) set.delete(client);
      if (incarnation === this.#node.incarnation) {
        this.dead = [...this.dead, client.id].slice(-REMEMBERED);
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
