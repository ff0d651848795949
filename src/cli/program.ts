import { Argument, Command, CommanderError, Option } from 'commander';
import { blockers } from './blockers.ts';
import { capabilities } from './capabilities.ts';
import { completionScript, SHELLS, type Shell } from './completion.ts';
import {
  addContext,
  listContexts,
  login,
  removeContext,
  showContext,
  useContext,
  type ContextOptions,
} from './context-commands.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { failureOf, Interrupted, usageError } from './failures.ts';
import { LIST_FORMATS } from './formats.ts';
import { GROUP_KEYS } from './groups.ts';
import {
  BLOCKERS_HELP,
  CAPABILITIES_HELP,
  COMPLETION_HELP,
  CONSOLE_HELP,
  CONTEXT_HELP,
  HISTORY_HELP,
  KILL_HELP,
  LIST_HELP,
  LOGIN_HELP,
  NODES_HELP,
  PROGRAM_HELP,
  SHOW_HELP,
} from './help.ts';
import { history, type HistoryCommandOptions } from './history.ts';
import type { KillOptions } from './kill-settings.ts';
import { kill } from './kill.ts';
import { list, type ListOptions } from './list.ts';
import { nodes } from './nodes.ts';
import { addConnectionOptions, addFilterOptions, collect } from './options.ts';
import { outputOption, sortOption } from './options.ts';
import { openConsole } from './console.ts';
import type { ConnectionOptions } from './settings.ts';
import { show } from './show.ts';
import type { CliContext } from './cli-context.ts';

type OutputOptions = ConnectionOptions & { readonly output?: string };

/** Runs a command line and returns its exit code. Prints an error as one line on standard error. */
export async function run(
  words: readonly string[],
  version: string,
  cli: CliContext,
): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.done;
  const program = createProgram(version, cli, (code) => (exitCode = code));
  try {
    await program.parseAsync(words, { from: 'user' });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.done : EXIT.usage;
    const error = cli.signal.aborted ? new Interrupted() : thrown;
    const failure = failureOf(error, cli.credentialSource);
    const { messages } = cli;
    messages.line(messages.colors.red(`sessionctl: ${failure.line}`));
    return failure.exitCode;
  }
}

function createProgram(version: string, cli: CliContext, end: (code: ExitCode) => void): Command {
  const { output, messages } = cli;
  const program = new Command('sessionctl')
    .description('Lists and ends user sessions on MySQL-compatible nodes, through session-control.')
    .version(`sessionctl ${version}`, '-V, --version', 'print the version')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: output.write,
      writeErr: messages.write,
      getOutHelpWidth: () => output.columns() ?? 100,
      getErrHelpWidth: () => messages.columns() ?? 100,
      getOutHasColors: () => output.colors.isColorSupported,
      getErrHasColors: () => messages.colors.isColorSupported,
      outputError: (text, write) => {
        const line = text
          .replace(/^error: /, '')
          .replace(/\s+/g, ' ')
          .trim()
          .replace(/\.$/, '');
        write(`${messages.colors.red(`sessionctl: ${line}. See \`sessionctl --help\`.`)}\n`);
      },
    })
    .addHelpText('after', PROGRAM_HELP);
  addConnectionOptions(program);
  addSessionCommands(program, cli, end);
  addConsoleCommand(program, cli, end);
  addContextCommands(program, cli, end);
  for (const name of ['ps', 'processlist']) {
    program.command(name, { hidden: true }).action(() => {
      throw usageError(`There is no command ${name}.`, 'Use `sessionctl list`.');
    });
  }
  program
    .command('version')
    .description('print the version')
    .addHelpText('after', '\nExample:\n  sessionctl version')
    .action(() => {
      output.line(`sessionctl ${version}`);
    });
  program
    .command('completion')
    .description('print a script that completes commands and options')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText('after', COMPLETION_HELP)
    .action((shell: Shell) => {
      output.write(completionScript(program, shell));
    });
  return program;
}

function addSessionCommands(
  program: Command,
  cli: CliContext,
  end: (code: ExitCode) => void,
): void {
  addFilterOptions(program.command('list'))
    .description('show the user sessions of nodes')
    .addOption(sortOption())
    .option('--limit <count>', 'show at most this number of sessions')
    .option('--watch <time>', 'redraw after each interval, such as 2s, until Ctrl-C')
    .option('--blocking', 'sessions that others wait for')
    .addOption(new Option('--group-by <key>', 'count the sessions by this key').choices(GROUP_KEYS))
    .addOption(outputOption(LIST_FORMATS))
    .addHelpText('after', LIST_HELP)
    .action(async (_options, command: Command) => {
      end(await list(command.optsWithGlobals<ListOptions>(), cli));
    });
  addFilterOptions(program.command('kill'))
    .description('end user sessions, by id or by filter')
    .argument(
      '[id...]',
      'session ids, as NODE/ID if there are several nodes; - reads standard input',
    )
    .option('--all', 'all user sessions')
    .option('-y, --yes', 'do not ask')
    .option('--dry-run', 'end no session; show what a kill would do')
    .option('--max <count>', 'refuse to end more sessions than this (default 100)')
    .option('--wait <time>', 'wait at most this time until the sessions have left the node')
    .option('--blocker-of <id>', 'the root blockers that this session waits for', collect)
    .option('--query', 'end only the statement that each session runs; the session stays')
    .option('--max-rollback-rows <count>', 'refuse to undo more rows than this (default 1000000)')
    .option('--force', 'end the sessions even if the rollback is larger')
    .option('--reason <text>', 'the reason, for the audit record of the service')
    .addOption(outputOption(['text', 'json']))
    .addHelpText('after', KILL_HELP)
    .action(async (ids: string[], _options, command: Command) => {
      end(await kill(ids, command.optsWithGlobals<KillOptions>(), cli));
    });
  program
    .command('blockers')
    .description('show which sessions block others, as a tree')
    .addOption(outputOption(['tree', 'json']))
    .addHelpText('after', BLOCKERS_HELP)
    .action(async (_options, command: Command) => {
      end(await blockers(command.optsWithGlobals<OutputOptions>(), cli));
    });
  program
    .command('show')
    .description('show everything about one session')
    .argument('<id>', 'a session id, as NODE/ID if there are several nodes')
    .addOption(outputOption(['text', 'json']))
    .addHelpText('after', SHOW_HELP)
    .action(async (id: string, _options, command: Command) => {
      end(await show(id, command.optsWithGlobals<OutputOptions>(), cli));
    });
  program
    .command('nodes')
    .description('show the nodes of the project, with their names')
    .addOption(outputOption(['table', 'json']))
    .addHelpText('after', NODES_HELP)
    .action(async (_options, command: Command) => {
      end(await nodes(command.optsWithGlobals<OutputOptions>(), cli));
    });
  program
    .command('history')
    .description('show what was ended, when, and by which caller')
    .option('--since <time>', 'the beginning: how long ago, or a time (default 24h)')
    .option('--until <time>', 'the end: how long ago, or a time (default now)')
    .option('--user <name>', 'only sessions of this user')
    .option('--caller <name>', 'only kills by this caller of the service')
    .addOption(outputOption(['table', 'json', 'csv']))
    .addHelpText('after', HISTORY_HELP)
    .action(async (_options, command: Command) => {
      end(await history(command.optsWithGlobals<HistoryCommandOptions>(), cli));
    });
  program
    .command('capabilities')
    .description('show what the service can do on nodes: it tries each port')
    .addOption(outputOption(['table', 'json']))
    .addHelpText('after', CAPABILITIES_HELP)
    .action(async (_options, command: Command) => {
      end(await capabilities(command.optsWithGlobals<OutputOptions>(), cli));
    });
}

function addConsoleCommand(program: Command, cli: CliContext, end: (code: ExitCode) => void): void {
  program
    .command('console')
    .description('open the page of the service in the browser, or print its address')
    .addHelpText('after', CONSOLE_HELP)
    .action((_options, command: Command) => {
      end(openConsole(command.optsWithGlobals<ConnectionOptions>(), cli));
    });
}

function addContextCommands(
  program: Command,
  cli: CliContext,
  end: (code: ExitCode) => void,
): void {
  const context = program
    .command('context')
    .description('store endpoints, nodes and credentials under a name')
    .addHelpText('after', CONTEXT_HELP);
  context
    .command('add')
    .description('add a context with the values of the flags')
    .argument('<name>')
    .option('--replace', 'replace the context that has this name')
    .option('--token-command <command>', 'a shell command that prints a token')
    .option('--iam-endpoint <url>', 'the IAM to log in to (Keystone v3)')
    .option('--iam-user <name>', 'the user at the IAM')
    .option('--iam-domain <name>', 'the domain of the user')
    .option('--iam-password-command <command>', 'a shell command that prints the password')
    .addHelpText('after', CONTEXT_HELP)
    .action((name: string, _options, command: Command) => {
      end(addContext(name, command.optsWithGlobals<ContextOptions>(), cli));
    });
  context
    .command('use')
    .description('make a context the current one')
    .argument('<name>')
    .addHelpText('after', CONTEXT_HELP)
    .action((name: string) => {
      end(useContext(name, cli));
    });
  context
    .command('show')
    .description('show a context without its secrets, and what it lacks')
    .argument('[name]', 'the current context by default')
    .addHelpText('after', CONTEXT_HELP)
    .action((name: string | undefined) => {
      end(showContext(name, cli));
    });
  context
    .command('remove')
    .description('remove a context and its stored token')
    .argument('<name>')
    .addHelpText('after', CONTEXT_HELP)
    .action((name: string) => {
      end(removeContext(name, cli));
    });
  context
    .command('list')
    .description('show the contexts')
    .addHelpText('after', CONTEXT_HELP)
    .action(() => {
      end(listContexts(cli));
    });
  program
    .command('login')
    .description('get a token from the IAM of the context and store it')
    .addHelpText('after', LOGIN_HELP)
    .action(async (_options, command: Command) => {
      end(await login(command.optsWithGlobals<ConnectionOptions>(), cli));
    });
}
