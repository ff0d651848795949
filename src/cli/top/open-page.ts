import { SessionControlError } from '../../client/index.ts';
import type { CliContext } from '../cli-context.ts';
import { CommandError, failureOf } from '../failures.ts';
import type { Connection } from '../listing.ts';
import { sessionName } from '../session-table.ts';
import { visible } from '../visible.ts';
import { readBlockers, readDetails } from './pages.ts';
import { keyOf, type Page, type PageLine } from './state.ts';
import type { Store } from './store.ts';

/**
 * Shows the page of the session under the cursor, or that of the blockers, and fills it once its lines are read, unless the user has closed it.
 * An error of the service is shown on the page.
 */
export async function openPage(
  kind: 'details' | 'blockers',
  connection: Connection,
  store: Store,
  { signal, credentialSource }: CliContext,
): Promise<void> {
  const { shown, cursor, page: before } = store.get();
  const session = shown.find((one) => keyOf(one) === cursor);
  if (kind === 'details' && session === undefined) {
    store.update((state) => ({ ...state, notice: 'Move the cursor to a session first.' }));
    return;
  }
  const title =
    kind === 'details' && session ? visible(`Session ${sessionName(session)}`) : 'Blockers';
  const same = before?.title === title ? before : undefined;
  const page: Page = { kind, title, lines: same?.lines ?? [], position: same?.position ?? 0 };
  store.update((state) => ({ ...state, page: { ...page, progress: 'reading …' } }));
  let lines: readonly PageLine[];
  try {
    lines =
      kind === 'details' && session
        ? await readDetails(connection, session, signal)
        : await readBlockers(connection, signal);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof SessionControlError || error instanceof CommandError)) throw error;
    lines = [{ text: failureOf(error, credentialSource).line }];
  }
  store.update((state) => {
    if (state.page?.title !== title) return state;
    const position = Math.min(state.page.position, Math.max(0, lines.length - 1));
    return { ...state, page: { ...state.page, lines, position, progress: undefined } };
  });
}
