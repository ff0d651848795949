import { EXIT, type ExitCode } from './exit-codes.ts';
import { formatJson, readFormat } from './formats.ts';
import { withProgress } from './progress.ts';
import { reach, type ConnectionOptions } from './settings.ts';
import { renderTable } from './table.ts';
import type { CliContext } from './cli-context.ts';
import { plural } from './durations.ts';
import { visible } from './visible.ts';

const COLUMNS = [
  { title: 'NAME', minWidth: 8 },
  { title: 'NODE', minWidth: 36, hardMinWidth: 8 },
  { title: 'INSTANCE', minWidth: 36, hardMinWidth: 8 },
];

/** Shows the nodes of the project and the actions of the caller. */
export async function nodes(
  options: ConnectionOptions & { readonly output?: string },
  cli: CliContext,
): Promise<ExitCode> {
  const format = readFormat(options.output ?? 'table', ['table', 'json']);
  const { client, projectId } = reach(options, cli);
  const { output, messages, signal } = cli;
  const found = await withProgress(messages, 'Reading the nodes', () =>
    client.nodes(projectId, { signal }),
  );
  const { caller } = found;
  if (format === 'json') {
    output.write(
      formatJson(
        found.nodes.map(({ instanceId, nodeId, name }) => ({
          ...{ node: nodeId, node_name: name ?? null, instance: instanceId },
        })),
      ),
    );
    return EXIT.done;
  }
  const rows = found.nodes.map(({ instanceId, nodeId, name }) => [name ?? '', nodeId, instanceId]);
  if (rows.length > 0) {
    output.line(renderTable(COLUMNS, rows, output.columns(), output.colors.bold));
  }
  messages.line(
    visible(
      `${plural(rows.length, 'node')}. ${caller.user} may use: ${caller.actions.join(', ') || 'nothing'}.`,
    ),
  );
  return EXIT.done;
}
