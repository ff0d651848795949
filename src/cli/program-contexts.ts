import type { Command } from 'commander';
import type { CliContext } from './cli-context.ts';
import { addContext, listContexts, login, removeContext } from './context-commands.ts';
import { showContext, useContext, type ContextOptions } from './context-commands.ts';
import type { ExitCode } from './exit-codes.ts';
import { CONTEXT_HELP, LOGIN_HELP } from './help.ts';
import type { ConnectionOptions } from './settings.ts';

/** Adds the commands for contexts and their logins. `end` receives the exit code of a command. */
export function addContextCommands(
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
