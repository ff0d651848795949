import { resolve } from 'node:path';
import { stringify } from 'yaml';
import { changeConfiguration, readConfiguration, type Context } from './config-file.ts';
import { configuredPassword, logIn, tokenUse } from './credentials.ts';
import { askPassword } from './ask.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { usageError } from './failures.ts';
import { withProgress } from './progress.ts';
import { contextOf, readEndpoint, tlsOf, type ConnectionOptions } from './settings.ts';
import type { CliContext } from './cli-context.ts';
import { renderTable } from './table.ts';
import { removeToken } from './token-store.ts';
import { escaped } from './visible.ts';

/** The options of `context add`. */
export interface ContextOptions extends ConnectionOptions {
  readonly tokenCommand?: string;
  readonly iamEndpoint?: string;
  readonly iamUser?: string;
  readonly iamDomain?: string;
  readonly iamPasswordCommand?: string;
  readonly replace?: boolean;
}

/**
 * Adds a context, or replaces one with `--replace`. The first context becomes the current one.
 * Throws a usage error for a bad name or flag, or if the name is in use and `--replace` is missing.
 */
export function addContext(name: string, options: ContextOptions, cli: CliContext): ExitCode {
  if (!/^[\w.-]{1,64}$/.test(name)) {
    throw usageError(
      `The context name ${name} is not valid.`,
      'Use 1 to 64 letters, digits, _, . and -.',
    );
  }
  if (options.endpoint !== undefined) readEndpoint(options.endpoint);
  const context = contextFrom(options);
  const { current, contexts } = readConfiguration(cli);
  const [isFirst, exists] = [current === undefined, Object.hasOwn(contexts, name)];
  if (exists && options.replace !== true) {
    throw usageError(
      `The context ${name} already exists.`,
      'Use --replace to replace all of it with these flags.',
    );
  }
  changeConfiguration(cli, (document) => {
    document.setIn(['contexts', name], document.createNode(context));
    if (isFirst) document.set('current', name);
  });
  cli.messages.line(
    `Context ${name} is ${exists ? 'replaced' : 'added'}${isFirst ? ' and in use' : ''}.`,
  );
  const missing = missingFrom(context);
  if (missing.length > 0) {
    cli.messages.line(
      `It lacks ${missing.join(', ')}: give each command what is missing, or add the context again with --replace.`,
    );
  }
  return EXIT.done;
}

/** Makes a context the current one. Throws a usage error if no context has this name. */
export function useContext(name: string, cli: CliContext): ExitCode {
  contextOf({ context: name }, cli);
  changeConfiguration(cli, (document) => {
    document.set('current', name);
  });
  cli.messages.line(`Context ${name} is in use.`);
  return EXIT.done;
}

/** Shows a context as YAML without its secrets. Throws a usage error if no context has this name. */
export function showContext(name: string | undefined, cli: CliContext): ExitCode {
  const found = contextOf(name === undefined ? {} : { context: name }, cli);
  if (found.name === undefined) {
    throw usageError('No context is in use.', 'Add one with `sessionctl context add`.');
  }
  const secrets = /^(token|secret_key|security_token|password)$/;
  const text = stringify({ [found.name]: found.context }, (key: unknown, value: unknown) =>
    typeof key === 'string' && secrets.test(key) ? '…' : value,
  );
  cli.output.write(escaped(text));
  const missing = missingFrom(found.context);
  if (missing.length > 0) cli.messages.line(`It lacks ${missing.join(', ')}.`);
  return EXIT.done;
}

/** Removes a context and its stored token. Throws a usage error if no context has this name. */
export function removeContext(name: string, cli: CliContext): ExitCode {
  contextOf({ context: name }, cli);
  const isCurrent = readConfiguration(cli).current === name;
  changeConfiguration(cli, (document) => {
    document.deleteIn(['contexts', name]);
    if (isCurrent) document.delete('current');
  });
  removeToken(cli, name);
  cli.messages.line(
    `Context ${name} is removed.${isCurrent ? ' No context is in use: see `sessionctl context use`.' : ''}`,
  );
  return EXIT.done;
}

/** Returns the settings that a command needs and the context lacks. The name of a node is enough to find its instance. */
function missingFrom({ endpoint, project, nodes = [], credentials }: Context): string[] {
  return [
    ...(endpoint === undefined ? ['--endpoint'] : []),
    ...(project === undefined ? ['--project'] : []),
    ...(nodes.length === 0 ? ['--node'] : []),
    ...(credentials === undefined ? ['credentials'] : []),
  ];
}

/** Shows the contexts without their secrets. */
export function listContexts(cli: CliContext): ExitCode {
  const { current, contexts } = readConfiguration(cli);
  const rows = Object.entries(contexts).map(([name, context]) => [
    name === current ? '*' : '',
    name,
    context.endpoint ?? '',
    context.project ?? '',
    (context.nodes ?? []).length.toString(),
    credentialsName(context),
  ]);
  const { output, messages } = cli;
  if (rows.length === 0) {
    messages.line('There are no contexts. Add one with `sessionctl context add`.');
    return EXIT.done;
  }
  const columns = [
    { title: '', minWidth: 1 },
    { title: 'NAME', minWidth: 8 },
    { title: 'ENDPOINT', minWidth: 12 },
    { title: 'PROJECT', minWidth: 8 },
    { title: 'NODES', minWidth: 5, isNumber: true },
    { title: 'CREDENTIALS', minWidth: 11 },
  ];
  output.line(renderTable(columns, rows, output.columns(), output.colors.bold));
  return EXIT.done;
}

/**
 * Requests a token from the IAM of the context and stores the token.
 * Throws a usage error if the context has no IAM or no project, and a `SessionControlError` if IAM refuses.
 */
export async function login(options: ConnectionOptions, cli: CliContext): Promise<ExitCode> {
  const { name, context } = contextOf(options, cli);
  const keystone = context.credentials?.keystone;
  const project = options.project ?? cli.environment['SESSIONCTL_PROJECT'] ?? context.project;
  if (name === undefined || keystone === undefined) {
    throw usageError(
      'The context names no IAM to log in to.',
      'Add one: `sessionctl context add NAME --iam-endpoint URL --iam-user NAME --iam-domain NAME …`.',
    );
  }
  if (project === undefined) throw usageError('The project is missing.', 'Give --project.');
  const who = `${keystone.user} at ${keystone.endpoint}`;
  const password =
    (await configuredPassword(keystone, cli)) ?? (await askPassword(`Password of ${who}`, cli));
  const tls = tlsOf(options, cli, context);
  const { expiresAt } = await withProgress(cli.messages, `Logging in at ${keystone.endpoint}`, () =>
    logIn(tokenUse(name, keystone, project), password, cli, tls),
  );
  cli.messages.line(`Logged in as ${who}, until ${expiresAt.toISOString()}.`);
  return EXIT.done;
}

function contextFrom(options: ContextOptions): Context {
  const { caFile, certFile, keyFile, insecure, language } = options;
  const credentials = credentialsFrom(options);
  const tls = {
    ...(caFile !== undefined && { ca_file: resolve(caFile) }),
    ...(certFile !== undefined && { cert_file: resolve(certFile) }),
    ...(keyFile !== undefined && { key_file: resolve(keyFile) }),
    ...(insecure === true && { insecure }),
  };
  return {
    ...(options.endpoint !== undefined && { endpoint: options.endpoint }),
    ...(options.project !== undefined && { project: options.project }),
    ...(options.instance !== undefined && { instance: options.instance }),
    ...(options.node !== undefined && { nodes: [...options.node] }),
    ...(Object.keys(credentials).length > 0 && { credentials }),
    ...(Object.keys(tls).length > 0 && { tls }),
    ...((language === 'en-us' || language === 'zh-cn') && { language }),
  };
}

function credentialsFrom(options: ContextOptions): NonNullable<Context['credentials']> {
  const { token, tokenCommand, accessKey, secretKey, securityToken } = options;
  const { iamEndpoint, iamUser, iamDomain, iamPasswordCommand } = options;
  const kinds = [token, tokenCommand, accessKey, iamEndpoint].filter((kind) => kind !== undefined);
  if (kinds.length > 1) {
    throw usageError(
      'The flags have more than one kind of credentials.',
      'Use a token, a token command, an access key or an IAM.',
    );
  }
  if ((accessKey === undefined) !== (secretKey === undefined)) {
    throw usageError('--access-key and --secret-key must be given together.');
  }
  if (iamEndpoint !== undefined) {
    if (iamUser === undefined || iamDomain === undefined) {
      throw usageError('--iam-endpoint needs --iam-user and --iam-domain.');
    }
    const password = iamPasswordCommand && { password_command: iamPasswordCommand };
    return { keystone: { endpoint: iamEndpoint, user: iamUser, domain: iamDomain, ...password } };
  }
  return {
    ...(token !== undefined && { token }),
    ...(tokenCommand !== undefined && { token_command: tokenCommand }),
    ...(accessKey !== undefined && { access_key: accessKey }),
    ...(secretKey !== undefined && { secret_key: secretKey }),
    ...(securityToken !== undefined && { security_token: securityToken }),
  };
}

function credentialsName({ credentials = {} }: Context): string {
  if (credentials.token !== undefined) return 'token';
  if (credentials.token_command !== undefined) return 'token command';
  if (credentials.access_key !== undefined) return 'access key';
  return credentials.keystone === undefined ? 'none' : `IAM, as ${credentials.keystone.user}`;
}
