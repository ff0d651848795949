import type { CliContext } from '../cli-context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { Interrupted } from '../failures.ts';
import type { KillOptions } from '../kill-settings.ts';
import type { Connection } from '../listing.ts';
import { Frames } from './frames.ts';
import { endSessions } from './kill-page.ts';
import { openPage } from './open-page.ts';
import { Poller } from './poller.ts';
import { press, type Action } from './press.ts';
import type { TopState } from './state.ts';
import type { Store } from './store.ts';
import { victimsOf, type Victims } from './victims.ts';

/** The screen of `top`, from the first frame until the terminal is restored. */
export class TopScreen {
  readonly #connection: Connection;
  readonly #options: KillOptions;
  readonly #store: Store;
  readonly #cli: CliContext;
  readonly #poller: Poller;
  readonly #frames: Frames;
  readonly #end = new AbortController();
  /** Aborted when the user quits. */
  readonly #signal: AbortSignal;
  #fail: (error: unknown) => void = () => undefined;
  #answer: (text: string | undefined) => void = () => undefined;
  #kill: Promise<void> | undefined;
  #code: ExitCode = EXIT.done;
  /** The lines about the outcomes of all kills. */
  readonly #outcomes: string[] = [];

  constructor(connection: Connection, options: KillOptions, store: Store, cli: CliContext) {
    this.#connection = connection;
    this.#options = options;
    this.#store = store;
    this.#signal = AbortSignal.any([cli.signal, this.#end.signal]);
    this.#cli = { ...cli, signal: this.#signal };
    this.#poller = new Poller(connection, store);
    this.#frames = new Frames(cli.output);
  }

  /** Shows the screen until the user quits, then prints the outcomes of the kills. Rejects if the service denies access. */
  async show(): Promise<ExitCode> {
    const { output, input, signal } = this.#cli;
    const { showApp } = await import('./app.tsx');
    const frames = this.#frames;
    const resize = (): void => {
      this.#redraw();
    };
    const hangUp = (): void => {
      this.#end.abort();
    };
    const failed = new Promise<never>((_resolve, reject) => (this.#fail = reject));
    const app = showApp(
      { store: this.#store, frames, screen: output, onKey: this.#press },
      this.#cli,
    );
    output.stream.on('resize', resize);
    input.once('end', hangUp);
    try {
      await Promise.race([this.#poller.run(signal), app.waitUntilExit(), failed]);
      if (!this.#end.signal.aborted) this.#code = EXIT.interrupted;
    } finally {
      this.#end.abort();
      await this.#kill;
      app.unmount();
      frames.leave();
      output.stream.off('resize', resize);
      input.off('end', hangUp);
      for (const line of this.#outcomes) output.line(line);
    }
    return this.#code;
  }

  readonly #press = (key: string): void => {
    const { state, action } = press(this.#store.get(), key);
    this.#store.update(() => state);
    if (action !== undefined) this.#act(action);
  };

  #act(action: Action): void {
    switch (action.kind) {
      case 'interrupt':
        this.#code = EXIT.interrupted;
        this.#end.abort(new Interrupted());
        break;
      case 'quit':
        this.#end.abort();
        break;
      case 'redraw':
        this.#redraw();
        break;
      case 'refresh':
        if (!this.#poller.refresh()) this.#change({ notice: 'The service has asked for a pause.' });
        break;
      case 'details':
      case 'blockers':
        openPage(action.kind, this.#connection, this.#store, this.#cli).catch(this.#fail);
        break;
      case 'answer':
        this.#answer(action.text);
        break;
      case 'kill':
        this.#startKill(action.scope);
    }
  }

  #startKill(scope: Victims['scope']): void {
    const victims = victimsOf(this.#store.get(), scope);
    if (typeof victims === 'string') this.#change({ notice: victims });
    else if (this.#kill !== undefined) this.#change({ notice: 'The last kill has not ended.' });
    else {
      const scene = {
        ...{ connection: this.#connection, options: this.#options, store: this.#store },
        ...{ cli: this.#cli, prompt: this.#prompt },
      };
      this.#kill = endSessions(victims, scene).then((lines) => {
        this.#outcomes.push(...lines);
        this.#kill = undefined;
        this.#poller.refresh();
      }, this.#fail);
    }
  }

  /** Shows a prompt on the page of a kill. Resolves to undefined after Esc, after the page was closed, or when the user quits. */
  readonly #prompt = (label: string): Promise<string | undefined> =>
    new Promise((resolve) => {
      // Esc may have closed the page before the question came.
      if (this.#signal.aborted || this.#store.get().page?.kind !== 'kill') {
        resolve(undefined);
        return;
      }
      const answer = (text: string | undefined): void => {
        this.#signal.removeEventListener('abort', quit);
        resolve(text);
      };
      const quit = (): void => {
        answer(undefined);
      };
      this.#signal.addEventListener('abort', quit);
      this.#answer = answer;
      this.#change({ prompt: { kind: 'answer', label, text: '' } });
    });

  /** Draws every line again, in the size that the terminal has by now. */
  #redraw(): void {
    const { output } = this.#cli;
    this.#frames.clear();
    this.#change({ columns: output.columns() ?? 0, rows: output.rows() ?? 0 });
  }

  #change(change: Partial<TopState>): void {
    this.#store.update((state) => ({ ...state, ...change }));
  }
}
