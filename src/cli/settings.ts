import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isNativeError } from 'node:util/types';
import { SessionControlClient, type Credentials, type TlsOptions } from '../client/index.ts';
import { configFolder, readConfiguration } from './config-file.ts';
import type { Context, NamedContext } from './config-file.ts';
import { credentialsOf, type GivenCredentials } from './credentials.ts';
import { EXIT } from './exit-codes.ts';
import { CommandError, usageError } from './failures.ts';
import { readWait } from './filters.ts';
import type { Connection } from './listing.ts';
import { findNodes } from './node-names.ts';
import type { CliContext } from './cli-context.ts';

/** The flags that every command accepts. */
export interface ConnectionOptions {
  readonly context?: string;
  readonly endpoint?: string;
  readonly project?: string;
  readonly instance?: string;
  readonly node?: readonly string[];
  readonly instanceWide?: boolean;
  readonly token?: string;
  readonly accessKey?: string;
  readonly secretKey?: string;
  readonly securityToken?: string;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly insecure?: boolean;
  readonly language?: string;
  readonly timeout?: string;
}

const NEVER_EMPTY = [
  ...(['context', 'endpoint', 'project', 'instance', 'node', 'token'] as const),
  ...(['accessKey', 'secretKey', 'securityToken'] as const),
];

/** A client, with the project and the nodes of the settings. */
export interface Reach {
  readonly client: SessionControlClient;
  readonly projectId: string;
  readonly instanceId: string | undefined;
  readonly context: Context;
}

/**
 * Creates the client and finds the nodes. Each setting comes from the flags, else the environment, else the context.
 * Rejects with a usage error if a setting is missing or wrong, before a request is sent; else rejects like `findNodes`.
 */
export async function connect(options: ConnectionOptions, cli: CliContext): Promise<Connection> {
  const { client, projectId, instanceId, context } = reach(options, cli);
  const names = nodesOf(options, cli.environment['SESSIONCTL_NODE'], context.nodes ?? []);
  return findNodes(client, { projectId, instanceId, names }, cli.signal);
}

/** Creates the client from the settings. Throws a usage error if a setting is missing or wrong. Sends nothing. */
export function reach(options: ConnectionOptions, cli: CliContext): Reach {
  requireNoneEmpty(options);
  const { environment, messages } = cli;
  const named = contextOf(options, cli);
  const { context } = named;
  const endpoint = required(
    'endpoint',
    options.endpoint ?? environment['SESSIONCTL_ENDPOINT'],
    context.endpoint,
  );
  const projectId = required(
    'project',
    options.project ?? environment['SESSIONCTL_PROJECT'],
    context.project,
  );
  const instanceId =
    (options.instance ?? environment['SESSIONCTL_INSTANCE']) || context.instance || undefined;
  const url = readEndpoint(endpoint);
  if (url.protocol === 'http:' && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)) {
    messages.line(`sessionctl: the connection to ${url.origin} is not encrypted: use https`);
  }
  const tls = tlsOf(options, cli, context);
  const credentials = credentialsFor(options, cli, named, projectId, tls);
  const client = new SessionControlClient({
    endpoint,
    credentials,
    tls,
    language: languageOf(
      options.language ?? environment['SESSIONCTL_LANGUAGE'] ?? context.language,
    ),
    ...(cli.isUnattended && { retries: 0 }),
    ...(options.timeout !== undefined && {
      timeoutMs: readWait('--timeout', options.timeout) * 1000,
    }),
  });
  return { client, projectId, instanceId, context };
}

/** Returns the named context, else the current one, else an empty one. Throws a usage error if the named context does not exist. */
export function contextOf(options: ConnectionOptions, cli: CliContext): NamedContext {
  const { current, contexts } = readConfiguration(cli);
  const name = options.context ?? (cli.environment['SESSIONCTL_CONTEXT'] || current);
  if (name === undefined) return { name: undefined, context: {} };
  const context = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (context !== undefined) return { name, context };
  throw usageError(`There is no context ${name}.`, 'See `sessionctl context list`.');
}

/** Reads the certificates from the flags, else the environment, else the context. Throws a `CommandError` if a file cannot be read. */
export function tlsOf(
  options: ConnectionOptions,
  cli: CliContext,
  { tls = {} }: Context,
): TlsOptions {
  const { environment } = cli;
  const read = (given: string | undefined, configured: string | undefined): string | undefined => {
    if (given !== undefined) return readPem(given);
    return configured === undefined ? undefined : readPem(resolve(configFolder(cli), configured));
  };
  const insecure = options.insecure ?? isOn('SESSIONCTL_INSECURE', environment);
  return {
    ca: read(options.caFile ?? environment['SESSIONCTL_CA_FILE'], tls.ca_file),
    cert: read(options.certFile ?? environment['SESSIONCTL_CERT_FILE'], tls.cert_file),
    key: read(options.keyFile ?? environment['SESSIONCTL_KEY_FILE'], tls.key_file),
    insecure: insecure || tls.insecure === true,
  };
}

/** Throws a usage error for an empty flag, which an unset shell variable leaves. The value of the context could lead to another node. */
function requireNoneEmpty(options: ConnectionOptions): void {
  const empty = NEVER_EMPTY.find((name) => [options[name]].flat().includes(''));
  if (empty === undefined) return;
  const flag = `--${empty.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw usageError(`${flag} is empty.`, 'Leave it out to use the value of the context.');
}

/** Takes the credentials from the flags, else the environment, else the context. */
function credentialsFor(
  options: ConnectionOptions,
  cli: CliContext,
  named: NamedContext,
  projectId: string,
  tls: TlsOptions,
): Credentials {
  const { environment } = cli;
  const given: GivenCredentials[] = [
    { where: 'the flags', tokenName: '--token', keyName: '--access-key', ...options },
    {
      where: 'the environment',
      tokenName: 'SESSIONCTL_TOKEN',
      keyName: 'SESSIONCTL_ACCESS_KEY',
      token: environment['SESSIONCTL_TOKEN'] || undefined,
      accessKey: environment['SESSIONCTL_ACCESS_KEY'] || undefined,
      secretKey: environment['SESSIONCTL_SECRET_KEY'] || undefined,
      securityToken: environment['SESSIONCTL_SECURITY_TOKEN'] || undefined,
    },
  ];
  return credentialsOf(given, cli, named, projectId, tls);
}

function nodesOf(
  { node, instanceWide }: ConnectionOptions,
  fromEnvironment: string | undefined,
  configured: readonly string[],
): readonly string[] {
  if (instanceWide) {
    if (node !== undefined) throw usageError('--node and --instance-wide cannot be combined.');
    if (configured.length > 0) return [...new Set(configured)];
    throw usageError(
      'The context names no nodes for --instance-wide.',
      'Add them with `sessionctl context add`.',
    );
  }
  const named = (node ?? fromEnvironment?.split(',') ?? []).filter((id) => id !== '');
  if (named.length > 0) return [...new Set(named)];
  const [only, ...others] = configured;
  if (only !== undefined && others.length === 0) return [only];
  if (only === undefined) return [required('node', undefined, undefined)];
  throw usageError(
    `The context has ${configured.length} nodes.`,
    'Choose with --node, or use --instance-wide for all.',
  );
}

function required(name: string, given: string | undefined, configured: string | undefined): string {
  const value = given || configured;
  if (value !== undefined) return value;
  throw usageError(
    `The ${name} is missing.`,
    `Give --${name}, set SESSIONCTL_${name.toUpperCase()}, or add a context with \`sessionctl context add\`.`,
  );
}

/** Parses the URL of a service. Throws a usage error if the text is no http or https URL. */
export function readEndpoint(endpoint: string): URL {
  if (URL.canParse(endpoint)) {
    const url = new URL(endpoint);
    if (url.protocol === 'https:' || url.protocol === 'http:') {
      if (url.search !== '' || url.hash !== '') {
        throw usageError(
          `The endpoint ${url.origin}${url.pathname} has a query or a fragment.`,
          `Use ${url.origin}${url.pathname.replace(/\/+$/, '')}.`,
        );
      }
      const [, before, version] = /^(.*?)(\/v\d+(?:\/.*)?)$/.exec(url.pathname) ?? [];
      if (version !== undefined) {
        throw usageError(
          `The endpoint ${endpoint} contains ${version}, which sessionctl adds itself.`,
          `Use ${url.origin}${before ?? ''}.`,
        );
      }
      return url;
    }
  }
  throw usageError(`--endpoint ${endpoint} is not an http or https URL.`);
}

function languageOf(language: string | undefined): 'en-us' | 'zh-cn' | undefined {
  if (language === undefined || language === 'en-us' || language === 'zh-cn') return language;
  throw usageError(`The language ${language} is not known.`, 'Use en-us or zh-cn.');
}

function isOn(name: string, environment: CliContext['environment']): boolean {
  const value = environment[name] ?? '';
  if (['true', '1'].includes(value)) return true;
  if (['', 'false', '0'].includes(value)) return false;
  throw usageError(`${name} must be true or false.`);
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const reason = isNativeError(error) ? error.message : String(error);
    throw new CommandError(EXIT.configuration, `${path} cannot be read: ${reason}.`);
  }
}
