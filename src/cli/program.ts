import { Argument, Command, CommanderError } from 'commander';
import { complete, COMPLETED, type Completed } from './complete.ts';
import { completionScript, SHELLS, type Shell } from './completion.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { failureOf, Interrupted, usageError } from './failures.ts';
import { COMPLETION_HELP, PROGRAM_HELP } from './help.ts';
import { addConnectionOptions } from './options.ts';
import { addContextCommands } from './program-contexts.ts';
import { addSessionCommands } from './program-sessions.ts';
import type { CliContext } from './cli-context.ts';

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
  addContextCommands(program, cli, end);
  for (const name of ['ps', 'processlist']) {
    program.command(name, { hidden: true }).action(() => {
      throw usageError(`There is no command ${name}.`, 'Use `sessionctl list`.');
    });
  }
  program
    .command('__complete', { hidden: true })
    .addArgument(new Argument('<kind>').choices(COMPLETED))
    .argument('[words...]')
    .action(async (kind: Completed, given: string[]) => {
      await complete(kind, given, cli);
    });
  program
    .command('version')
    .description('print the version')
    .addHelpText('after', '\nExample:\n  sessionctl version')
    .action(() => {
      output.line(`sessionctl ${version}`);
    });
  program
    .command('completion')
    .description('print a script that completes commands, options, contexts, nodes and ids')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText('after', COMPLETION_HELP)
    .action((shell: Shell) => {
      output.write(completionScript(program, shell));
    });
  return program;
}
