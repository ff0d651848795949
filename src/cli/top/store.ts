import type { TopState } from './state.ts';

/** Holds the state of the screen, and calls its listeners after each change. */
export class Store {
  #state: TopState;
  readonly #listeners = new Set<() => void>();

  constructor(first: TopState) {
    this.#state = first;
  }

  readonly get = (): TopState => this.#state;

  /** Replaces the state with the result of `change`. */
  update(change: (state: TopState) => TopState): void {
    this.#state = change(this.#state);
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` after each change. Returns a function that ends this. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
}
