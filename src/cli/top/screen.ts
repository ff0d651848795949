import { SessionControlError } from '../../client/index.ts';
import type { CliContext } from '../cli-context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { CommandError, failureOf, Interrupted } from '../failures.ts';
import type { KillOptions } from '../kill-settings.ts';
import type { Connection } from '../listing.ts';
import { sessionName } from '../session-table.ts';
import { visible } from '../visible.ts';
import { Frames } from './frames.ts';
import { endSessions, type Victims } from './kill-page.ts';
import { readBlockers, readDetails } from './pages.ts';
import { Poller } from './poller.ts';
import { press, type Action } from './press.ts';
import { chosen, keyOf, type Page, type PageLine, type TopState } from './state.ts';
import type { Store } from './store.ts';

/** The screen of `top`, from the first frame until the terminal is restored. */
export class TopScreen {
  readonly #connection: Connection;
  readonly #options: KillOptions;
  readonly #store: Store;
  readonly #cli: CliContext;
  readonly #poller: Poller;
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
  }

  /** Shows the screen until the user quits, then prints the outcomes of the kills. Rejects if the service denies access. */
  async show(): Promise<ExitCode> {
    const { output, input, signal } = this.#cli;
    const { showApp } = await import('./app.tsx');
    const frames = new Frames(output);
    const resize = (): void => {
      frames.clear();
      this.#change({ columns: output.columns() ?? 0, rows: output.rows() ?? 0 });
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
      case 'refresh':
        if (!this.#poller.refresh()) this.#change({ notice: 'The service has asked for a pause.' });
        break;
      case 'details':
        this.#showDetails();
        break;
      case 'blockers':
        this.#open('blockers', 'Blockers', () => readBlockers(this.#connection, this.#signal));
        break;
      case 'answer':
        this.#answer(action.text);
        break;
      case 'kill':
        this.#startKill(action.scope);
    }
  }

  #showDetails(): void {
    const { shown, cursor } = this.#store.get();
    const session = shown.find((one) => keyOf(one) === cursor);
    if (session === undefined) this.#change({ notice: 'Move the cursor to a session first.' });
    else {
      const title = visible(`Session ${sessionName(session)}`);
      this.#open('details', title, () => readDetails(this.#connection, session, this.#signal));
    }
  }

  /** Shows a page, and fills it once its lines are read, unless the user has closed it. */
  #open(kind: Page['kind'], title: string, read: () => Promise<readonly PageLine[]>): void {
    const { page: before } = this.#store.get();
    const same = before?.title === title ? before : undefined;
    const page = { kind, title, lines: same?.lines ?? [], position: same?.position ?? 0 };
    this.#change({ page: { ...page, progress: 'reading …' } });
    const fill = (lines: readonly PageLine[]): void => {
      const { page: now } = this.#store.get();
      if (now?.title !== title) return;
      const position = Math.min(now.position, Math.max(0, lines.length - 1));
      this.#change({ page: { ...now, lines, position, progress: undefined } });
    };
    read().then(fill, (error: unknown) => {
      if (this.#signal.aborted) return;
      const isKnown = error instanceof SessionControlError || error instanceof CommandError;
      if (isKnown) fill([{ text: failureOf(error, this.#cli.credentialSource).line }]);
      else this.#fail(error);
    });
  }

  #startKill(scope: Victims['scope']): void {
    const victims = this.#victims(scope);
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

  /** Returns the sessions to end, or the reason why there are none. */
  #victims(scope: Victims['scope']): Victims | string {
    const state = this.#store.get();
    const { page } = state;
    if (page?.kind === 'blockers') {
      const root = page.lines[page.position]?.root;
      if (root === undefined) return 'Move the cursor to a root blocker, at the left edge.';
      if ('why' in root) return root.why;
      return { sessions: [root.session], scope, passes: () => true, waiters: root.waiters };
    }
    if (state.groupBy !== undefined) return 'Open the group with Enter first.';
    const sessions = chosen(state);
    if (sessions.length === 0) return 'Move the cursor to a session first.';
    return { sessions, scope, passes: state.passes };
  }

  /** Shows a prompt on the page of a kill. Resolves to undefined after Esc, or when the user quits. */
  readonly #prompt = (label: string): Promise<string | undefined> =>
    new Promise((resolve) => {
      const answer = (text: string | undefined): void => {
        this.#signal.removeEventListener('abort', quit);
        resolve(text);
      };
      const quit = (): void => {
        answer(undefined);
      };
      this.#signal.addEventListener('abort', quit);
      if (this.#signal.aborted) quit();
      this.#answer = answer;
      this.#change({ prompt: { kind: 'answer', label, text: '' } });
    });

  #change(change: Partial<TopState>): void {
    this.#store.update((state) => ({ ...state, ...change }));
  }
}
