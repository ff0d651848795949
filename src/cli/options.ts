import { InvalidArgumentError, Option, type Command } from 'commander';
import { SORT_KEYS } from './filters.ts';

/** Adds the flags that choose the service, the nodes and the credentials. They may stand before or after the subcommand. */
export function addConnectionOptions(command: Command): Command {
  return command
    .option('--context <name>', 'a context of the configuration file (SESSIONCTL_CONTEXT)')
    .option('--endpoint <url>', 'the URL of the service (SESSIONCTL_ENDPOINT)')
    .option('--project <id>', 'the project (SESSIONCTL_PROJECT)')
    .option('--instance <id>', 'the instance (SESSIONCTL_INSTANCE)')
    .option(
      '--node <node>',
      'a node by name or id, can be repeated (SESSIONCTL_NODE, separated by commas)',
      collect,
    )
    .option('--instance-wide', 'all nodes of the context')
    .option(
      '--token <token>',
      'a token; other users of this machine can see it, unlike SESSIONCTL_TOKEN',
    )
    .option('--access-key <key>', 'sign with this access key (SESSIONCTL_ACCESS_KEY)')
    .option('--secret-key <key>', 'the secret of the access key; safer in SESSIONCTL_SECRET_KEY')
    .option(
      '--security-token <token>',
      'the security token of a temporary access key (SESSIONCTL_SECURITY_TOKEN)',
    )
    .option('--ca-file <file>', 'trust only these authorities (SESSIONCTL_CA_FILE)')
    .option('--cert-file <file>', 'the client certificate (SESSIONCTL_CERT_FILE)')
    .option('--key-file <file>', 'the key of the client certificate (SESSIONCTL_KEY_FILE)')
    .option('--insecure', 'skip the check of the certificate of the service; only for trials')
    .option('--timeout <seconds>', 'the timeout of one request (default 35)')
    .addOption(
      new Option(
        '--language <language>',
        'the language of messages from the service (SESSIONCTL_LANGUAGE)',
      ).choices(['en-us', 'zh-cn']),
    );
}

/** Adds the filters of `list` and `kill`. */
export function addFilterOptions(command: Command): Command {
  return command
    .option('--user <pattern>', 'sessions of this user', collect)
    .option('--db <pattern>', 'sessions in this database', collect)
    .option('--host <pattern>', 'sessions from this host, with or without the port', collect)
    .option('--command <pattern>', 'sessions in this command, such as Query or Sleep', collect)
    .option('--state <pattern>', 'sessions in this state, such as "Waiting for*"', collect)
    .option('--info <pattern>', 'sessions that run this statement', collect)
    .option('--min-time <time>', 'sessions at least this long in their state: 90s, 5m, 1h30m')
    .option('--in-transaction', 'sessions with an open transaction')
    .option('--min-trx-time <time>', 'sessions whose transaction is at least this old')
    .option('--waiting', 'sessions that wait for a lock');
}

/** Returns the option for the order of a list. */
export function sortOption(): Option {
  const option = new Option(
    '--sort <keys>',
    'sort by these keys, such as user,-time; - in front reverses the order',
  ).choices(SORT_KEYS.flatMap((key) => [key, `-${key}`]));
  // The choices are for completion and the help; a value may have several of them.
  return option.argParser((text: string) => {
    const wrong = text.split(',').find((key) => !option.argChoices?.includes(key));
    if (wrong === undefined) return text;
    throw new InvalidArgumentError(`Keys are ${SORT_KEYS.join(', ')}.`);
  });
}

/** The help text about patterns. */
export const PATTERNS = `
A pattern must match the whole text. * is any text, ? is any character.
/…/ is a regular expression, /…/i ignores case. ! in front excludes.
One filter given twice means either value. Different filters must all match. User, db and host are case-sensitive.`;

/** Collects the values of a flag that can be repeated. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

/** Returns the option for the output format. The first format is the default. */
export function outputOption(formats: readonly string[]): Option {
  return new Option(
    '-o, --output <format>',
    `the output format (default ${formats[0] ?? ''})`,
  ).choices(formats);
}
