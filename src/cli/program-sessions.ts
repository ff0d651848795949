import { Option, type Command } from 'commander';
import { blockers } from './blockers.ts';
import { capabilities } from './capabilities.ts';
import type { CliContext } from './cli-context.ts';
import { openConsole } from './console.ts';
import type { ExitCode } from './exit-codes.ts';
import { LIST_FORMATS } from './formats.ts';
import { GROUP_KEYS } from './groups.ts';
import { BLOCKERS_HELP, CAPABILITIES_HELP, CONSOLE_HELP, HISTORY_HELP } from './help.ts';
import { KILL_HELP, LIST_HELP, NODES_HELP, SHOW_HELP, TOP_HELP } from './help.ts';
import { history, type HistoryCommandOptions } from './history.ts';
import type { KillOptions } from './kill-settings.ts';
import { kill } from './kill.ts';
import { list, type ListOptions } from './list.ts';
import { nodes } from './nodes.ts';
import { addFilterOptions, collect, outputOption, sortOption } from './options.ts';
import type { ConnectionOptions } from './settings.ts';
import { show } from './show.ts';
import { top, type TopOptions } from './top/top.ts';

type OutputOptions = ConnectionOptions & { readonly output?: string };

/** Adds the commands that call the service. `end` receives the exit code of a command. */
export function addSessionCommands(
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
    .option('--all', 'end all user sessions')
    .option('-y, --yes', 'do not ask')
    .option('--dry-run', 'end no session; show what a kill would do')
    .option('--max <count>', 'refuse to end more sessions than this (default 100)')
    .option('--wait <time>', 'wait at most this time until the sessions have left the node')
    .option('--blocker-of <id>', 'end the root blockers that this session waits for', collect)
    .option('--query', 'end only the statement that each session runs; the session stays')
    .option('--max-rollback-rows <count>', 'refuse to undo more rows than this (default 1000000)')
    .option('--force', 'end the sessions even if the kill has to undo more rows')
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
  addFilterOptions(program.command('top'))
    .description('show the sessions on the whole screen, and end some of them')
    .addOption(sortOption())
    .option('--interval <time>', 'read the list again after this time (default 2s)')
    .option('--max <count>', 'refuse to end more sessions than this at once (default 100)')
    .option('--wait <time>', 'wait at most this time until the sessions have left (default 10s)')
    .option('--max-rollback-rows <count>', 'refuse to undo more rows than this (default 1000000)')
    .option('--force', 'end the sessions even if the rollback is larger')
    .option('--reason <text>', 'the reason of all kills, for the audit record of the service')
    .addHelpText('after', TOP_HELP)
    .action(async (_options, command: Command) => {
      end(await top(command.optsWithGlobals<TopOptions>(), cli));
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
    .description('show the kills, with their times and callers')
    .option('--since <time>', 'the beginning: a duration before now, or a time (default 24h)')
    .option('--until <time>', 'the end: a duration before now, or a time (default now)')
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
  program
    .command('console')
    .description('open the page of the service in the browser, or print its address')
    .addHelpText('after', CONSOLE_HELP)
    .action((_options, command: Command) => {
      end(openConsole(command.optsWithGlobals<ConnectionOptions>(), cli));
    });
}
