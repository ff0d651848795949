import { SessionControlError, type SessionDetail } from '../client/index.ts';
import { formatDuration, plural } from './durations.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { CommandError, usageError } from './failures.ts';
import { fieldsOf, formatJson, readFormat, transactionRecord } from './formats.ts';
import { nodeLabel, type NamedNode } from './listing.ts';
import { transactionText, waitText } from './lock-lines.ts';
import { nodeOf } from './kill-plan.ts';
import { withProgress } from './progress.ts';
import { readIds } from './session-ids.ts';
import { connect, type ConnectionOptions } from './settings.ts';
import type { CliContext } from './cli-context.ts';
import { waitRecord } from './blockers.ts';
import { visible } from './visible.ts';

/** Shows everything about one session. The exit code is 3 if no user session has the id. */
export async function show(
  given: string,
  options: ConnectionOptions & { readonly output?: string },
  cli: CliContext,
): Promise<ExitCode> {
  const format = readFormat(options.output ?? 'text', ['text', 'json']);
  const [id, ...others] = readIds([given]);
  if (id === undefined || others.length > 0) throw usageError('Give one session id.');
  const { client, nodes } = await connect(options, cli);
  const node = nodeOf(id, nodes);
  const { output, messages, signal } = cli;
  const detail = await withProgress(messages, 'Reading the session', async () => {
    try {
      return await client.show(node, id.id, signal);
    } catch (error) {
      throw notFound(error, node, id.id);
    }
  });
  if (format === 'json') output.write(formatJson(asWire(node, detail)));
  else for (const line of detailLines(node, detail)) output.line(line);
  return EXIT.done;
}

/** Returns the error for a session that has ended; any other error unchanged. */
export function notFound(error: unknown, { nodeId, name }: NamedNode, id: bigint): unknown {
  const isGone =
    error instanceof SessionControlError && error.status === 404 && error.code === 'DBS.290013';
  if (!isGone) return error;
  const label = nodeLabel({ node: nodeId, nodeName: name });
  return new CommandError(
    EXIT.notFound,
    `No user session has the id ${id} on node ${label}: it may have ended.`,
    'See `sessionctl list`.',
  );
}

/** Formats everything about one session, a line for each fact. */
export function detailLines(node: NamedNode, detail: SessionDetail): string[] {
  const { transaction, connectionAttributes, sources } = detail;
  const missing = (name: string): string =>
    `not known: ${sources[name] ?? 'the node does not show it'}`;
  const attributes = Object.entries(connectionAttributes ?? {});
  const rows: [string, string][] = [
    ['session', detail.id.toString()],
    ['node', nodeLabel({ node: node.nodeId, nodeName: node.name })],
    ['user', detail.user],
    ['host', detail.host],
    ['database', detail.db || 'none'],
    ['command', `${detail.command} for ${formatDuration(detail.time)}`],
    ['state', detail.state || 'none'],
    [
      'transaction',
      transaction === undefined
        ? missing('transaction')
        : transaction === null
          ? 'none'
          : `${transactionText(transaction)}, ${plural(Number(transaction.rowsLocked), 'row')} locked`,
    ],
    ...(detail.waitsFor.length === 0
      ? ([['waits for', 'nobody']] as [string, string][])
      : detail.waitsFor.map((wait): [string, string] => [
          'waits for',
          `${wait.waitsFor ?? 'an internal thread or a prepared transaction'}, ${waitText(wait)}`,
        ])),
    ['blocks', detail.blocks.length === 0 ? 'nobody' : blocked(detail)],
    ...(['row', 'metadata'] as const)
      .filter((kind) => sources[kind] !== undefined && sources[kind] !== 'available')
      .map((kind): [string, string] => [`${kind} locks`, missing(kind)]),
    [
      'program',
      connectionAttributes === undefined
        ? missing('connection_attributes')
        : attributes.map(([name, value]) => `${name}=${value}`).join(', ') || 'nothing reported',
    ],
    [
      'statement',
      detail.info === '' ? 'none' : `${detail.info}${detail.isInfoTruncated ? ' …' : ''}`,
    ],
  ];
  return rows.map(([name, value]) => `${name.padEnd(14)}${visible(value)}`);
}

/** Formats the ids of the sessions that wait for a session, at most ten of them. */
function blocked({ blocks, areWaitsTruncated }: SessionDetail): string {
  const ids = [...new Set(blocks.map(({ id }) => id))];
  const more = ids.length > 10 || areWaitsTruncated ? ' and more' : '';
  return `${ids.slice(0, 10).join(', ')}${more}`;
}

function asWire(node: NamedNode, detail: SessionDetail): object {
  const { transaction, connectionAttributes } = detail;
  return {
    node: node.nodeId,
    node_name: node.name ?? null,
    ...fieldsOf(detail),
    info_truncated: detail.isInfoTruncated,
    ...(transaction !== undefined && { transaction: transactionRecord(transaction) }),
    ...(connectionAttributes && { connection_attributes: connectionAttributes }),
    waits_for: detail.waitsFor.map(waitRecord),
    blocks: detail.blocks.map(waitRecord),
    truncated: detail.areWaitsTruncated,
    sources: detail.sources,
  };
}
