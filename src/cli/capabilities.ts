import type { Capabilities } from '../client/index.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { formatJson, readFormat } from './formats.ts';
import { withProgress } from './progress.ts';
import { connect, type ConnectionOptions } from './settings.ts';
import type { CliContext } from './cli-context.ts';
import { renderTable } from './table.ts';

/** Shows what the service can do on the nodes. The exit code is 69 if the service cannot reach one of them. */
export async function capabilities(
  options: ConnectionOptions & { readonly output?: string },
  cli: CliContext,
): Promise<ExitCode> {
  const format = readFormat(options.output ?? 'table', ['table', 'json']);
  const { client, nodes } = await connect(options, cli);
  const { output, messages, signal } = cli;
  const found = await withProgress(messages, 'Trying the ports of the nodes', () =>
    Promise.all(
      nodes.map(async (node) => ({
        node: node.nodeId,
        name: node.name,
        ...(await client.capabilities(node, signal)),
      })),
    ),
  );
  if (format === 'json') output.write(formatJson(found.map(asWire)));
  else {
    for (const one of found) {
      output.line(
        renderTable(
          [
            { title: 'NODE', minWidth: 14 },
            { title: one.name ?? one.node, minWidth: 20 },
          ],
          rowsOf(one),
          output.columns(),
          output.colors.bold,
        ),
      );
    }
  }
  return found.every(({ reachable }) => reachable) ? EXIT.done : EXIT.unreachable;
}

function rowsOf(found: Capabilities): string[][] {
  const yesOrNo = (value: boolean | undefined): string =>
    value === undefined ? 'not known' : value ? 'yes' : 'no';
  return [
    ['reachable', yesOrNo(found.reachable)],
    ['connected', yesOrNo(found.connected)],
    ['main port', found.mainPort],
    ['admin port', found.adminPort],
    ['server', [found.flavour, found.version].filter(Boolean).join(' ') || 'not known'],
    ['missing grants', found.missingGrants?.join(', ') ?? 'not known'],
    ['rollback view', yesOrNo(found.rollbackView)],
    ['second opinion', yesOrNo(found.secondOpinion)],
    ['cut hosts', found.cutHosts?.toString() ?? 'not known'],
  ].map(([name = '', value = '']) => [name, value || 'none']);
}

function asWire(
  found: Capabilities & { readonly node: string; readonly name: string | undefined },
): object {
  return {
    node: found.node,
    node_name: found.name ?? null,
    reachable: found.reachable,
    connected: found.connected ?? null,
    main_port: found.mainPort,
    admin_port: found.adminPort,
    flavour: found.flavour ?? null,
    version: found.version ?? null,
    missing_grants: found.missingGrants ?? null,
    rollback_view: found.rollbackView ?? null,
    second_opinion: found.secondOpinion ?? null,
    cut_hosts: found.cutHosts ?? null,
  };
}
