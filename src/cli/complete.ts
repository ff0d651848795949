import { Command } from 'commander';
import { readConfiguration } from './config-file.ts';
import { nodeWord } from './listing.ts';
import { addConnectionOptions } from './options.ts';
import { connect, reach, type ConnectionOptions } from './settings.ts';
import type { CliContext } from './cli-context.ts';
import { visible } from './visible.ts';

export const COMPLETED = ['contexts', 'nodes', 'ids'] as const;
/** What the hidden command `__complete` finds for the scripts of `sessionctl completion`. */
export type Completed = (typeof COMPLETED)[number];

/** A word to offer, and a description for the shells that show one. */
type Offer = readonly [word: string, description: string];

/** With the start of Node.js, a shell waits at most about 2 s. */
const LIMIT_MS = 1500;
const MAX_DESCRIPTION = 60;
/** Characters that a terminal would act on or hide, and that no shell could quote. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

/**
 * Prints the words that continue a command line, one a line, each with a tab and its description. `words` are those before the cursor and
 * the begun one. Prints nothing if there is any error. Asks for nothing, and reads one page of each list.
 */
export async function complete(
  kind: Completed,
  words: readonly string[],
  cli: CliContext,
): Promise<void> {
  const begun = unquoted(words.at(-1) ?? '');
  const offers = await find(kind, words.slice(0, -1), unattended(cli)).catch(() => []);
  for (const [word, description] of offers) {
    if (!word.startsWith(begun) || UNSAFE.test(word)) continue;
    cli.output.line(`${word}\t${visible(description).slice(0, MAX_DESCRIPTION)}`);
  }
}

async function find(
  kind: Completed,
  before: readonly string[],
  cli: CliContext,
): Promise<readonly Offer[]> {
  switch (kind) {
    case 'contexts':
      return Object.entries(readConfiguration(cli).contexts).map(([name, { endpoint }]) => [
        name,
        endpoint ?? '',
      ]);
    case 'nodes': {
      const { client, projectId } = reach(optionsIn(before), cli);
      const { nodes } = await client.nodesPage(projectId, { signal: cli.signal });
      return nodes.map(({ name, nodeId }) => [name ?? nodeId, name === undefined ? '' : nodeId]);
    }
    case 'ids':
      return sessionsOf(optionsIn(before), cli);
  }
}

/** Resolves to at most 100 sessions of each node, those with the lowest ids. */
async function sessionsOf(options: ConnectionOptions, cli: CliContext): Promise<readonly Offer[]> {
  const { client, nodes } = await connect(options, cli);
  const pages = await Promise.allSettled(
    nodes.map(async (node): Promise<Offer[]> => {
      const { sessions } = await client.listPage(node, { signal: cli.signal });
      const of = { node: node.nodeId, nodeName: node.name };
      return sessions.map(({ id, user, info, command }) => [
        nodes.length > 1 ? `${nodeWord(of)}/${id}` : id.toString(),
        `${user}: ${info || command}`,
      ]);
    }),
  );
  return pages.flatMap((page) => (page.status === 'fulfilled' ? page.value : []));
}

/** Returns the flags that choose the service, the nodes and the credentials among the words of a command line. */
function optionsIn(words: readonly string[]): ConnectionOptions {
  const command = addConnectionOptions(new Command())
    .exitOverride()
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .configureOutput({ writeErr: () => undefined });
  // The value that is to be completed is still missing.
  const isCut = command.options.some(({ long, required }) => required && long === words.at(-1));
  const whole = (isCut ? words.slice(0, -1) : words).map(unquoted);
  return command.parse(whole, { from: 'user' }).opts<ConnectionOptions>();
}

/** Returns a context whose commands ask nobody, report nothing and end in time. */
function unattended(cli: CliContext): CliContext {
  const nothing = (): void => undefined;
  return {
    ...cli,
    // gpg would ask on this terminal.
    environment: { ...cli.environment, GPG_TTY: undefined },
    messages: { ...cli.messages, write: nothing, line: nothing },
    signal: AbortSignal.any([cli.signal, AbortSignal.timeout(LIMIT_MS)]),
    isUnattended: true,
  };
}

/** Returns a word of bash or zsh without its quotes, of which the last may still be missing. */
function unquoted(word: string): string {
  return word.replace(
    /'([^']*)'?|"((?:[^"\\]|\\.)*)"?|\\(.)/gs,
    (_all, single?: string, double?: string, escaped?: string) =>
      single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? '',
  );
}
