import { Option, type Command } from 'commander';
import { SORT_KEYS } from './filters.ts';

/** The flags that say where and who, which may also stand after the subcommand. */
export function addConnectionOptions(command: Command): Command {
  return command
    .option('--context <name>', 'the context of the configuration file (SESSIONCTL_CONTEXT)')
    .option('--endpoint <url>', 'where the service is (SESSIONCTL_ENDPOINT)')
    .option('--project <id>', 'the project (SESSIONCTL_PROJECT)')
    .option('--instance <id>', 'the instance (SESSIONCTL_INSTANCE)')
    .option('--node <id>', 'a node; may be repeated (SESSIONCTL_NODE, with commas)', collect)
    .option('--instance-wide', 'all nodes that the context names')
    .option(
      '--token <token>',
      'a token; others on this machine can see it, unlike SESSIONCTL_TOKEN',
    )
    .option('--access-key <key>', 'sign with this access key (SESSIONCTL_ACCESS_KEY)')
    .option('--secret-key <key>', 'its secret; better in SESSIONCTL_SECRET_KEY')
    .option('--security-token <token>', 'of a temporary access key (SESSIONCTL_SECURITY_TOKEN)')
    .option('--ca-file <file>', 'verify the service by these authorities (SESSIONCTL_CA_FILE)')
    .option('--cert-file <file>', 'the certificate to present (SESSIONCTL_CERT_FILE)')
    .option('--key-file <file>', 'its key (SESSIONCTL_KEY_FILE)')
    .option('--insecure', 'do not verify the service: for trials only')
    .option('--timeout <seconds>', 'for one request, 35 unless given')
    .addOption(
      new Option(
        '--language <language>',
        'of the messages of the service (SESSIONCTL_LANGUAGE)',
      ).choices(['en-us', 'zh-cn']),
    );
}

/** The filters of `list` and `kill`. */
export function addFilterOptions(command: Command): Command {
  return command
    .option('--user <pattern>', 'sessions of this user', collect)
    .option('--db <pattern>', 'sessions in this database', collect)
    .option('--host <pattern>', 'sessions from this host, with or without the port', collect)
    .option('--command <pattern>', 'such as Query or Sleep', collect)
    .option('--state <pattern>', 'such as "Waiting for*"', collect)
    .option('--info <pattern>', 'sessions that run this statement', collect)
    .option('--min-time <time>', 'at least so long in this state: 90s, 5m, 1h30m');
}

/** The order of a list. */
export function sortOption(): Option {
  const keys = SORT_KEYS.flatMap((key) => [key, `-${key}`]);
  return new Option('--sort <key>', 'by this key, - in front turns the order').choices(keys);
}

/** What patterns are, for the help. */
export const PATTERNS = `
Patterns match the whole text; * is any text, ? any character; /…/ and /…/i are regular expressions; ! in front excludes.
One kind of filter given twice means either, different kinds mean both. User, db and host are told apart by case.`;

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

/** How a result is shown; the first format unless it is given. */
export function outputOption(formats: readonly string[]): Option {
  return new Option('-o, --output <format>', 'what is printed; the first unless given').choices(
    formats,
  );
}
