import type { ExitCode } from '../exit-codes.ts';
import { usageError } from '../failures.ts';
import { readWait, type FilterOptions } from '../filters.ts';
import { readKillSettings, type KillOptions } from '../kill-settings.ts';
import { nodeLabel } from '../listing.ts';
import { connect } from '../settings.ts';
import type { CliContext } from '../cli-context.ts';
import { filterTextOf } from './filter-text.ts';
import { TopScreen } from './screen.ts';
import { firstState } from './state.ts';
import { Store } from './store.ts';

/** The options of `top`: those of `kill` that apply, and the filters of `list`. */
export interface TopOptions extends KillOptions, FilterOptions {
  readonly sort?: string;
  readonly interval?: string;
}

/** Idle sessions come last. */
const DEFAULT_SORT = 'command,-time';
const DEFAULT_INTERVAL = '2s';

/**
 * Shows the sessions on the whole screen until the user quits. Throws a usage error if there is no terminal for it, and an error of the
 * service that denies access.
 */
export async function top(options: TopOptions, cli: CliContext): Promise<ExitCode> {
  requireTerminal(cli);
  const intervalSeconds = readWait('--interval', options.interval ?? DEFAULT_INTERVAL);
  if (intervalSeconds < 1)
    throw usageError('--interval is shorter than a second.', 'Use at least 1s.');
  // A wrong option is reported before the screen opens, and not by the first kill.
  readKillSettings(['1'], options);
  const start = { filterText: filterTextOf(options), sortText: options.sort ?? DEFAULT_SORT };
  const size = { columns: cli.output.columns() ?? 0, rows: cli.output.rows() ?? 0 };
  firstState({ ...start, ...size, nodes: '', isNodeShown: false, intervalSeconds });
  const connection = await connect(options, cli);
  const nodes = connection.nodes
    .map(({ nodeId, name }) => nodeLabel({ node: nodeId, nodeName: name }))
    .join(', ');
  const isNodeShown = connection.nodes.length > 1;
  const store = new Store(firstState({ ...start, ...size, nodes, isNodeShown, intervalSeconds }));
  return new TopScreen(connection, options, store, cli).show();
}

/** Throws a usage error if the command cannot draw on a terminal and read its keys. */
function requireTerminal({ input, output, environment }: CliContext): void {
  const type = environment['TERM'] ?? '';
  const isCapable = type !== '' && type !== 'dumb';
  if (input.isTTY && output.isTerminal && isCapable) return;
  throw usageError(
    isCapable
      ? 'top needs a terminal for its input and its output.'
      : `top cannot draw on a terminal of the type "${type}" (TERM).`,
    'Use `sessionctl list --watch 2s`.',
  );
}
