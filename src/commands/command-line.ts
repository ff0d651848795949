import { isNativeError } from 'node:util/types';
import { parseArgs } from 'node:util';
import { didYouMean } from '../did-you-mean.ts';

/** The exit codes of the commands. Codes from 64 on have the meaning that sysexits.h gives them. */
export const EXIT = {
  done: 0,
  trouble: 1,
  usage: 64,
  noInput: 66,
  cannotCreate: 73,
  configuration: 78,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A command with its options, or the problem of a command line. */
export type CommandLine =
  | { readonly command: 'start' | 'health'; readonly config: string | undefined }
  | {
      readonly command: 'check';
      readonly config: string | undefined;
      readonly format: 'table' | 'json';
    }
  | { readonly command: 'init'; readonly folder: string | undefined }
  | { readonly command: 'audit'; readonly files: readonly string[] }
  | { readonly command: 'help' | 'version' }
  | { readonly command: 'wrong'; readonly problem: string };

export const HELP = `session-control serves an API that ends user sessions on MySQL-compatible nodes.

Usage: session-control [start] [--config FILE]
       session-control check [--config FILE] [-o table|json]
       session-control init [FOLDER]
       session-control health [--config FILE]
       session-control audit verify FILE...

  start    serve the API; SIGHUP reads the configuration again, SIGTERM stops the service
  check    try the configuration on its nodes; ends no session and writes nothing
  init     write a commented configuration with a new token into FOLDER, make a folder for the audit
           file there, and print the SQL for the control account; overwrites no file; the default
           FOLDER is that of CONFIG_FILE, or config
  health   check that the service with this configuration runs on this machine
  audit    verify audit files: count the records, list torn lines and kills without an outcome;
           give rotated files together, in their order

  -c, --config FILE    the service's file; default: the variable CONFIG_FILE, or config/service.yaml
  -o, --output FORMAT  the format of check: table or json
  -h, --help           print this text
  -V, --version        print the version

Columns of check: TLS shows whether the node is verified. ROLLBACKS shows whether the node lists the
rollback of a session that has left. THREADS shows whether the account can read
performance_schema.threads, which confirms the sessions of a list. Kills work without the last two.

Exit codes: 0 no problem; 1 a problem was found and printed; 64 wrong usage; 66 an audit file cannot be
read; 73 init cannot write a file; 78 the configuration is wrong.
`;

const COMMANDS: Readonly<Record<string, { readonly options: readonly string[]; words: number }>> = {
  start: { options: ['config'], words: 0 },
  check: { options: ['config', 'output'], words: 0 },
  init: { options: [], words: 1 },
  health: { options: ['config'], words: 0 },
  audit: { options: [], words: Infinity },
};

const OPTIONS = {
  config: { type: 'string', short: 'c' },
  output: { type: 'string', short: 'o' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'V' },
} as const;

/** Parses a command line. Without a command it is `start`. */
export function readCommandLine(words: readonly string[]): CommandLine {
  try {
    return parse(words);
  } catch (error) {
    if (!isNativeError(error) || !('code' in error)) throw error;
    // Drops Node's advice on arguments that begin with a dash: it follows the first sentence.
    const [problem = ''] = error.message.split(/\.(?: |\n|$)/);
    const [, unknown] = /^Unknown option '--(.*)'$/.exec(problem) ?? [];
    const meant = unknown === undefined ? '' : didYouMean(unknown, Object.keys(OPTIONS), '--');
    return { command: 'wrong', problem: problem + meant };
  }
}

function parse(words: readonly string[]): CommandLine {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: OPTIONS,
  });
  if (values.help) return { command: 'help' };
  if (values.version) return { command: 'version' };
  const [name = 'start', ...rest] = positionals;
  const known = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (known === undefined) {
    return wrong(`There is no command '${name}'${didYouMean(name, Object.keys(COMMANDS))}`);
  }
  const foreign = Object.keys(values).find((option) => !known.options.includes(option));
  if (foreign !== undefined) return wrong(`'${name}' has no option '--${foreign}'`);
  if (rest.length > known.words) return wrong(`Unexpected argument '${String(rest[known.words])}'`);
  const { config, output = 'table' } = values;
  if (name === 'init') return { command: name, folder: rest[0] };
  if (name === 'audit') {
    const [what, ...files] = rest;
    if (what !== 'verify' || files.length === 0)
      return wrong("'audit' needs the word verify and at least one file");
    return { command: name, files };
  }
  if (name === 'start' || name === 'health') return { command: name, config };
  if (output !== 'table' && output !== 'json') return wrong("'--output' must be table or json");
  return { command: 'check', config, format: output };
}

function wrong(problem: string): CommandLine {
  return { command: 'wrong', problem };
}
