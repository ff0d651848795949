import { spawn } from 'node:child_process';
import { platform } from 'node:os';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { usageError } from './failures.ts';
import { contextOf, readEndpoint, type ConnectionOptions } from './settings.ts';
import type { CliContext } from './cli-context.ts';

/** The programs that open an address in the browser, by platform. */
const OPENERS: Readonly<Record<string, string>> = { darwin: 'open', linux: 'xdg-open' };

/**
 * Prints the address of the page, and opens it in the browser if standard output is a terminal. The address names the project and, if there
 * is only one, the node. It never holds a token. Throws a usage error if the endpoint is missing.
 */
export function openConsole(options: ConnectionOptions, cli: CliContext): ExitCode {
  const { environment, output } = cli;
  const { context } = contextOf(options, cli);
  const endpoint = options.endpoint ?? (environment['SESSIONCTL_ENDPOINT'] || context.endpoint);
  if (endpoint === undefined) {
    throw usageError('The endpoint is missing.', 'Give --endpoint, or add a context.');
  }
  const address = new URL(`${readEndpoint(endpoint).href.replace(/\/+$/, '')}/console`);
  const project = options.project ?? (environment['SESSIONCTL_PROJECT'] || context.project);
  const nodes = options.node ?? environment['SESSIONCTL_NODE']?.split(',') ?? context.nodes ?? [];
  address.hash = new URLSearchParams({
    ...(project !== undefined && { project }),
    ...(nodes.length === 1 && { node: nodes[0] ?? '' }),
  }).toString();
  output.line(address.href);
  const opener = OPENERS[platform()];
  if (output.isTerminal && opener !== undefined) {
    // A machine without a browser has no such program: the person then copies the address.
    spawn(opener, [address.href], { stdio: 'ignore', detached: true })
      .on('error', () => undefined)
      .unref();
  }
  return EXIT.done;
}
