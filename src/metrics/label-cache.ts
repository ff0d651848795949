import type { Counter } from 'prom-client';

/** One counter for each value of its only label, there from the start: what was never counted is 0, not unknown. */
export function counters<V extends string>(
  counter: Counter,
  values: readonly V[],
): Readonly<Record<V, () => void>> {
  const made = values.map((value) => {
    const child = counter.labels(value);
    child.inc(0);
    return [
      value,
      () => {
        child.inc();
      },
    ];
  });
  return Object.fromEntries(made) as Record<V, () => void>;
}

/** Makes one for each combination of texts, of which there must be few. */
export function cached<T>(make: (...texts: [string, string, string]) => T): typeof make {
  const made = new Map<string, T>();
  return (...texts) => {
    const key = texts.join(' ');
    const there = made.get(key) ?? make(...texts);
    made.set(key, there);
    return there;
  };
}
