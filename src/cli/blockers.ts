import type { Blocker, Blockers, Session, Wait } from '../client/index.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { fieldsOf, formatJson, readFormat, transactionRecord } from './formats.ts';
import { listFailure } from './list.ts';
import {
  nodeLabel,
  nodeWord,
  type Connection,
  type ListFailure,
  type NamedNode,
} from './listing.ts';
import { lockLines } from './lock-lines.ts';
import { withProgress } from './progress.ts';
import { connect, type ConnectionOptions } from './settings.ts';
import { cut } from './table.ts';
import type { CliContext } from './cli-context.ts';
import { plural } from './durations.ts';

/** The blockers and the waits of one node. */
export interface NodeLocks {
  readonly node: NamedNode;
  readonly report: Blockers;
  readonly listed: readonly Session[];
}

/** Shows which sessions block others, as a tree. The exit code is 4 if one of several nodes does not answer. */
export async function blockers(
  options: ConnectionOptions & { readonly output?: string },
  cli: CliContext,
): Promise<ExitCode> {
  const format = readFormat(options.output ?? 'tree', ['tree', 'json']);
  const connection = await connect(options, cli);
  const { output, messages, signal } = cli;
  const { found, failures } = await withProgress(messages, 'Reading the locks', () =>
    readLocks(connection, signal),
  );
  if (format === 'json') output.write(formatJson(found.map(asWire)));
  else for (const one of found) print(one, connection.nodes.length > 1, cli);
  for (const failure of failures) messages.line(messages.colors.red(listFailure(failure)));
  return failures.length === 0 ? EXIT.done : EXIT.failed;
}

/** Reads the locks of all nodes at once. Rejects with the first error if no node shows its locks. */
export async function readLocks(
  { client, nodes }: Connection,
  signal: AbortSignal,
): Promise<{ readonly found: readonly NodeLocks[]; readonly failures: readonly ListFailure[] }> {
  const found: NodeLocks[] = [];
  const failures: ListFailure[] = [];
  const results = await Promise.allSettled(
    nodes.map(async (node): Promise<NodeLocks> => {
      const report = await client.blockers(node, signal);
      const listed = report.waits.length > 0 ? await client.list(node, { signal }) : [];
      return { node, report, listed };
    }),
  );
  signal.throwIfAborted();
  for (const [index, result] of results.entries()) {
    if (result.status === 'fulfilled') found.push(result.value);
    else {
      const { nodeId = '', name } = nodes[index] ?? {};
      failures.push({ node: nodeId, nodeName: name, error: result.reason as unknown });
    }
  }
  const [first] = failures;
  if (first !== undefined && found.length === 0) throw first.error;
  return { found, failures };
}

function print({ node, report, listed }: NodeLocks, isNodeShown: boolean, cli: CliContext): void {
  const { output, messages } = cli;
  const roots = report.blockers.filter(({ isRoot }) => isRoot);
  const label = nodeLabel({ node: node.nodeId, nodeName: node.name });
  const width = output.columns() ?? Infinity;
  if (isNodeShown) output.line(output.colors.bold(`Node ${label}`));
  for (const line of lockLines(report, listed)) {
    const shown = cut(line, width);
    output.line(/^[├│└ ]/.test(line) ? shown : output.colors.bold(shown));
  }
  for (const [kind, source] of Object.entries(report.sources)) {
    if (source !== 'available') {
      messages.line(messages.colors.yellow(`The ${kind} locks are not shown: ${source}`));
    }
  }
  if (roots.length === 0) {
    messages.line('No session waits for a lock.');
    return;
  }
  const prefix = isNodeShown ? `${nodeWord({ node: node.nodeId, nodeName: node.name })}/` : '';
  const ids = roots.flatMap(({ id, canBeKilled }) =>
    id !== undefined && canBeKilled ? [`${prefix}${id}`] : [],
  );
  const sum = `${plural(roots.length, 'root blocker')}.`;
  messages.line(
    ids.length === 0 ? sum : `${sum} To free the waiters: sessionctl kill ${ids.join(' ')}`,
  );
}

function asWire({ node, report }: NodeLocks): object {
  return {
    node: node.nodeId,
    node_name: node.name ?? null,
    blockers: report.blockers.map(blockerRecord),
    waits: report.waits.map(waitRecord),
    truncated: report.isTruncated,
    sources: report.sources,
  };
}

function blockerRecord(blocker: Blocker): object {
  const { id, session, transaction } = blocker;
  return {
    ...(session && fieldsOf(session)),
    id: id ?? null,
    transaction: transactionRecord(transaction ?? null),
    is_root: blocker.isRoot,
    waiters: blocker.waiters,
    direct_waiters: blocker.directWaiters,
    can_be_killed: blocker.canBeKilled,
    prepared: blocker.isPrepared,
  };
}

/** Returns a wait in the order of the output. A field that the node does not show is missing. */
export function waitRecord({ id, waitsFor, ...lock }: Wait): object {
  const known = Object.entries(lock).filter(([, value]) => value !== undefined);
  return { id, waits_for: waitsFor ?? null, ...Object.fromEntries(known) };
}
