/**
 * A graph of vertices that wait for each other, numbered from 0. All functions except `countWaiters` take time in proportion to the edges.
 * No function calls itself: a queue can be a chain of ten thousand.
 */
export class WaitGraph {
  /** By vertex: the vertices that it waits for. */
  readonly holders: number[][] = [];
  /** By vertex: the vertices that wait for it. */
  readonly waiters: number[][] = [];

  /** Adds a vertex, and returns its number. */
  add(): number {
    this.waiters.push([]);
    return this.holders.push([]) - 1;
  }

  addWait(waiter: number, holder: number): void {
    this.holders[waiter]?.push(holder);
    this.waiters[holder]?.push(waiter);
  }

  /** Returns all vertices that this one waits for, directly or not. They include the vertex itself if it is in a cycle. */
  reachableFrom(vertex: number): ReadonlySet<number> {
    const found = new Set<number>(this.holders[vertex]);
    // A set yields what is added during the iteration.
    for (const next of found) for (const holder of this.holders[next] ?? []) found.add(holder);
    return found;
  }

  /**
   * Returns the groups of vertices that wait for each other; most groups have one vertex. A group comes before all groups that wait for it
   * (Tarjan's algorithm).
   */
  components(): readonly (readonly number[])[] {
    const components: number[][] = [];
    const order: (number | undefined)[] = [];
    const low: number[] = [];
    const isOpen: boolean[] = [];
    const open: number[] = [];
    let count = 0;
    for (let start = 0; start < this.holders.length; start += 1) {
      if (order[start] !== undefined) continue;
      const path = [{ vertex: start, next: 0 }];
      for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
        const { vertex } = last;
        if (last.next === 0) {
          order[vertex] = low[vertex] = count++;
          open.push(vertex);
          isOpen[vertex] = true;
        }
        const holder = this.holders[vertex]?.[last.next];
        last.next += 1;
        if (holder !== undefined) {
          if (order[holder] === undefined) path.push({ vertex: holder, next: 0 });
          else if (isOpen[holder]) low[vertex] = Math.min(low[vertex] ?? 0, order[holder]);
          continue;
        }
        path.pop();
        const before = path.at(-1)?.vertex;
        if (before !== undefined) low[before] = Math.min(low[before] ?? 0, low[vertex] ?? 0);
        if (low[vertex] !== order[vertex]) continue;
        const component = open.splice(open.lastIndexOf(vertex));
        for (const member of component) isOpen[member] = false;
        components.push(component);
      }
    }
    return components;
  }

  /** Returns for each vertex the number of counted vertices that wait for it, directly or not. No vertex counts for itself. */
  countWaiters(
    components: readonly (readonly number[])[],
    isCounted: (vertex: number) => boolean,
  ): readonly number[] {
    const componentOf: number[] = [];
    components.forEach((members, index) => {
      for (const member of members) componentOf[member] = index;
    });
    const bitOf = new Map<number, number>();
    for (let vertex = 0; vertex < this.holders.length; vertex += 1) {
      if (isCounted(vertex)) bitOf.set(vertex, bitOf.size);
    }
    const sets: (BitSet | undefined)[] = [];
    const counts: number[] = [];
    for (let index = components.length - 1; index >= 0; index -= 1) {
      const members = components[index] ?? [];
      const before = sets[index];
      const bits = members.flatMap((member) => bitOf.get(member) ?? []);
      const outside = before?.size() ?? 0;
      for (const member of members) {
        counts[member] = outside + bits.length - (bitOf.has(member) ? 1 : 0);
      }
      const successors = new Set(
        members.flatMap((member) =>
          (this.holders[member] ?? []).map((holder) => componentOf[holder]),
        ),
      );
      successors.delete(index);
      for (const successor of successors) {
        const set = (sets[successor ?? 0] ??= new BitSet(bitOf.size));
        if (before !== undefined) set.addAll(before);
        for (const bit of bits) set.add(bit);
      }
      sets[index] = undefined;
    }
    return counts;
  }
}

class BitSet {
  readonly #words: Uint32Array;

  constructor(size: number) {
    this.#words = new Uint32Array((size + 31) >>> 5);
  }

  add(bit: number): void {
    const word = bit >>> 5;
    this.#words[word] = (this.#words[word] ?? 0) | (1 << (bit & 31));
  }

  addAll(other: BitSet): void {
    for (let word = 0; word < this.#words.length; word += 1) {
      this.#words[word] = (this.#words[word] ?? 0) | (other.#words[word] ?? 0);
    }
  }

  size(): number {
    let size = 0;
    for (const word of this.#words) size += bitsIn(word);
    return size;
  }
}

/** Returns the number of ones in a word of 32 bits: first of each pair of bits, then of four, then of eight. */
function bitsIn(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  const bytes = (nibbles + (nibbles >>> 4)) & 0x0f0f0f0f;
  return Math.imul(bytes, 0x01010101) >>> 24;
}
