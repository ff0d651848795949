import { isNativeError } from 'node:util/types';
import { parseArgs } from 'node:util';

/** How a command ends, with the numbers of sysexits.h. */
export const EXIT = {
  done: 0,
  trouble: 1,
  usage: 64,
  noInput: 66,
  cannotCreate: 73,
  configuration: 78,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What somebody typed. */
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

  start    serve the API: SIGHUP reads the configuration again, SIGTERM stops
  check    try the configuration against its nodes, without ending anybody or writing anything
  init     write a commented configuration into FOLDER (else where CONFIG_FILE is, else config),
           with a new token, and print the SQL for the control account; no file is ever overwritten
  health   ask the service that runs with this configuration whether it lives
  audit    read a record of kills: what was begun and has no outcome, which lines are torn; one that
           was rotated while requests were under way together with the next, in their order

  -c, --config FILE    the service's file; else CONFIG_FILE of the environment, else config/service.yaml
  -o, --output FORMAT  of check: table, or json
  -h, --help           this text
  -V, --version        the version

In the table of check, TLS says whether the node is verified. Two things are good to have and no trouble
without: ROLLBACKS says whether the rollback of a session that has left can be seen, THREADS whether
performance_schema.threads gives a second opinion on who is a client.

Exit codes: 0 all is well; 1 something is not, as told; 64 usage; 66 the record cannot be read; 73 init
cannot write a file; 78 the configuration is wrong.
`;

const COMMANDS: Readonly<Record<string, { readonly options: readonly string[]; words: number }>> = {
  start: { options: ['config'], words: 0 },
  check: { options: ['config', 'output'], words: 0 },
  init: { options: [], words: 1 },
  health: { options: ['config'], words: 0 },
  audit: { options: [], words: Infinity },
};

/** Reads a command line; without a command it is `start`. */
export function readCommandLine(words: readonly string[]): CommandLine {
  try {
    return understand(words);
  } catch (error) {
    if (!isNativeError(error) || !('code' in error)) throw error;
    // What follows the first sentence is advice on how to spell an argument that begins with a dash.
    const [problem = ''] = error.message.split(/\.(?: |\n|$)/);
    return { command: 'wrong', problem };
  }
}

function understand(words: readonly string[]): CommandLine {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      config: { type: 'string', short: 'c' },
      output: { type: 'string', short: 'o' },
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean', short: 'V' },
    },
  });
  if (values.help) return { command: 'help' };
  if (values.version) return { command: 'version' };
  const [name = 'start', ...rest] = positionals;
  const known = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (known === undefined) return wrong(`There is no command '${name}'`);
  const foreign = Object.keys(values).find((option) => !known.options.includes(option));
  if (foreign !== undefined) return wrong(`Option '--${foreign}' means nothing to ${name}`);
  if (rest.length > known.words) return wrong(`Too many words: '${String(rest[known.words])}'`);
  const { config, output = 'table' } = values;
  if (name === 'init') return { command: name, folder: rest[0] };
  if (name === 'audit') {
    const [what, ...files] = rest;
    if (what !== 'verify' || files.length === 0)
      return wrong("'audit' takes the word verify and files");
    return { command: name, files };
  }
  if (name === 'start' || name === 'health') return { command: name, config };
  if (output !== 'table' && output !== 'json') return wrong("'--output' must be table or json");
  return { command: 'check', config, format: output };
}

function wrong(problem: string): CommandLine {
  return { command: 'wrong', problem };
}
