import { ServiceError } from '../errors.ts';
import type { Termination } from './session-service.ts';

/** A signature is good for 15 minutes on either side of its date, so its request can come again for 30. */
const REMEMBERED_MS = 30 * 60_000;
/** About 1 KB each at 1,000 ids a request. */
const MAX_ANSWERS = 100_000;

const KINDS = ['killed', 'notFound', 'failed', 'unknown'] as const;

interface Remembered {
  readonly answer: Promise<Answer>;
  readonly until: number;
}

/** A byte an id, in the order of the request: the ids come with the request that asks again. */
interface Answer {
  readonly kinds: Uint8Array;
  readonly trouble: ServiceError | undefined;
}

/** What came of requests that end sessions, so that the very same request again gets the first answer and kills nothing. */
export class FirstAnswers {
  readonly #answers = new Map<string, Remembered>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * Does the work once for a key; who comes with the key again, meanwhile or later, gets what it gave. Without a key it is just done.
   * When the work throws, nothing was sent, and the next one with the key tries again. Throws `overloaded` when too much is remembered.
   */
  async once(
    key: string | undefined,
    ids: readonly bigint[],
    work: () => Promise<Termination>,
  ): Promise<Termination> {
    if (key === undefined) return work();
    this.#forgetOld();
    const known = this.#answers.get(key);
    if (known !== undefined) return unpacked(ids, await known.answer);
    if (this.#answers.size >= MAX_ANSWERS) throw new ServiceError('overloaded');
    const answer = work().then((termination) => packed(ids, termination));
    this.#answers.set(key, { answer, until: this.#now() + REMEMBERED_MS });
    try {
      return unpacked(ids, await answer);
    } catch (error) {
      this.#answers.delete(key);
      throw error;
    }
  }

  // In the order of their ends, since all are kept equally long.
  #forgetOld(): void {
    for (const [key, { until }] of this.#answers) {
      if (until > this.#now()) return;
      this.#answers.delete(key);
    }
  }
}

function packed(ids: readonly bigint[], termination: Termination): Answer {
  const kindOf = new Map(
    KINDS.flatMap((kind, index) => termination[kind].map((id) => [id, index])),
  );
  return {
    kinds: Uint8Array.from(new Set(ids), (id) => kindOf.get(id) ?? KINDS.indexOf('unknown')),
    trouble: termination.trouble,
  };
}

function unpacked(ids: readonly bigint[], { kinds, trouble }: Answer): Termination {
  const distinct = [...new Set(ids)];
  const idsOf = (kind: (typeof KINDS)[number]): bigint[] =>
    distinct.filter((_id, index) => kinds[index] === KINDS.indexOf(kind));
  return {
    killed: idsOf('killed'),
    notFound: idsOf('notFound'),
    failed: idsOf('failed'),
    unknown: idsOf('unknown'),
    trouble,
  };
}
