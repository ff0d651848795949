import pico from 'picocolors';
import type { CliContext, Screen } from '../cli-context.ts';
import { failureOf } from '../failures.ts';
import { killThrough, TooCostly, type Ask } from '../kill.ts';
import { readKillSettings, type KillOptions, type KillSettings } from '../kill-settings.ts';
import type { Connection } from '../listing.ts';
import { keyOf, type Page } from './state.ts';
import type { Store } from './store.ts';
import type { Victims } from './victims.ts';

/** Shows a prompt and resolves to what the user typed, or to undefined after Esc. */
export type Prompting = (label: string) => Promise<string | undefined>;

/** The parts that a kill needs. */
export interface KillScene {
  readonly connection: Connection;
  readonly options: KillOptions;
  readonly store: Store;
  readonly prompt: Prompting;
  readonly cli: CliContext;
}

const DEFAULT_WAIT = '10s';

/**
 * Asks about the sessions and ends them, on a page of its own, in the way of the command `kill`. Resolves to the lines about the outcome;
 * there are none if no session was to be ended. Never rejects.
 */
export async function endSessions(victims: Victims, scene: KillScene): Promise<readonly string[]> {
  const { connection, options, store, prompt, cli } = scene;
  const lines: string[] = [];
  let outcomeFrom = Infinity;
  const change = (next: Partial<Page>): void => {
    store.update((state) =>
      state.page?.kind === 'kill' ? { ...state, page: { ...state.page, ...next } } : state,
    );
  };
  const add = (text = ''): void => {
    lines.push(...text.replace(/\n$/, '').split('\n'));
    change({ lines: lines.map((line) => ({ text: line })), position: Infinity });
  };
  const screen: Screen = {
    ...cli.output,
    isTerminal: false,
    colors: pico.createColors(false),
    write: add,
    line: add,
    showProgress: (progress) => {
      change({ progress });
    },
  };
  const ask: Ask = async (question) => {
    change({ progress: undefined });
    add();
    add(question);
    const isYes = /^y(es)?$/i.test((await prompt('y and Enter: yes. Enter or Esc: no. ')) ?? '');
    if (isYes) {
      outcomeFrom = lines.length;
      change({ isLocked: true, progress: 'Reading the list' });
    }
    return isYes;
  };
  const title = victims.scope === 'session' ? 'End sessions' : 'End statements';
  const page: Page = { kind: 'kill', title, lines: [], position: 0, progress: 'Reading the list' };
  store.update((state) => ({ ...state, page }));
  const context: CliContext = { ...cli, output: screen, messages: screen };
  try {
    const settings = await settingsOf(victims, scene);
    const ids = victims.sessions.map(({ node, id }) => ({ node, id }));
    try {
      await killThrough(connection, ids, settings, ask, context);
    } catch (error) {
      if (!(error instanceof TooCostly) || options.force === true) throw error;
      add(failureOf(error).line);
      change({ progress: undefined });
      if ((await prompt('To be asked all the same, type force: ')) === 'force') {
        await killThrough(
          connection,
          ids,
          { ...settings, maxRollbackRows: undefined },
          ask,
          context,
        );
      } else add('No session was ended.');
    }
  } catch (error) {
    add(failureOf(error, cli.credentialSource).line);
  }
  change({ progress: undefined, isLocked: false });
  return lines.slice(outcomeFrom);
}

/** Returns the settings of the kill. Only the sessions that the user saw pass its filter, not later sessions with their ids. */
async function settingsOf(
  { sessions, scope, passes, waiters }: Victims,
  { connection, options, prompt }: KillScene,
): Promise<KillSettings> {
  const isMissing = connection.caller?.isReasonRequired === true && options.reason === undefined;
  const reason = isMissing ? await prompt('The service requires a reason: ') : options.reason;
  const { max, maxRollbackRows, force } = options;
  // A session whose statement is ended leaves nothing to wait for.
  const wait = scope === 'session' ? (options.wait ?? DEFAULT_WAIT) : undefined;
  const given = { max, maxRollbackRows, force, wait, reason };
  const known = Object.entries(given).filter(([, value]) => value !== undefined);
  const [first] = sessions;
  const keys = new Set(sessions.map(keyOf));
  return {
    // The settings need some id. The kill gets its own ids.
    ...readKillSettings(['1'], Object.fromEntries(known)),
    scope,
    passes: (session) => keys.has(keyOf(session)) && passes(session),
    blockerOf: waiters?.map((id) => ({ node: first?.node, id })),
  };
}
