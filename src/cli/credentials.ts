import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { isNativeError } from 'node:util/types';
import {
  createTransport,
  requestToken,
  type Credentials,
  type IssuedToken,
  type TlsOptions,
} from '../client/index.ts';
import type { Context, NamedContext } from './config-file.ts';
import { EXIT } from './exit-codes.ts';
import { CommandError, usageError } from './failures.ts';
import type { CliContext } from './cli-context.ts';
import { keepToken, keptToken, type TokenUse } from './token-store.ts';

/** Credentials as flags or environment have them. */
export interface GivenCredentials {
  readonly where: string;
  readonly token?: string | undefined;
  readonly accessKey?: string | undefined;
  readonly secretKey?: string | undefined;
  readonly securityToken?: string | undefined;
}

type Keystone = NonNullable<NonNullable<Context['credentials']>['keystone']>;

const COMMAND_LIMIT_MS = 30_000;
/** A list of many pages asks for the token as often; one that is watched for hours needs a new one. */
const REMEMBERED_MS = 60_000;

/** The first that are given, else those of the context. Throws a usage error when there are none or they contradict each other. */
export function credentialsOf(
  given: readonly GivenCredentials[],
  cli: CliContext,
  { name, context }: NamedContext,
  projectId: string,
  tls: TlsOptions,
): Credentials {
  for (const { where, token, accessKey, secretKey, securityToken } of given) {
    if (token !== undefined && accessKey !== undefined) {
      throw usageError(`A token and an access key are in ${where}: give one of them.`);
    }
    if ((accessKey === undefined) !== (secretKey === undefined)) {
      throw usageError(`Half an access key is in ${where}.`, 'Give --access-key and --secret-key.');
    }
    if (token !== undefined) return { token };
    if (accessKey === undefined && securityToken !== undefined) {
      throw usageError(
        `A security token is in ${where}, without its access key.`,
        'Give --access-key and --secret-key with it.',
      );
    }
    if (accessKey !== undefined && secretKey !== undefined) {
      return { accessKey, secretKey, securityToken };
    }
  }
  const { token, token_command, access_key, secret_key, security_token, keystone } =
    context.credentials ?? {};
  if (token !== undefined) return { token };
  if (token_command !== undefined) return { token: remembered(() => outputOf(token_command, cli)) };
  if (access_key !== undefined && secret_key !== undefined) {
    return { accessKey: access_key, secretKey: secret_key, securityToken: security_token };
  }
  if (keystone !== undefined) {
    const use = tokenUse(name ?? '', keystone, projectId);
    return { token: () => currentToken(use, keystone, cli, tls) };
  }
  throw usageError(
    'There are no credentials.',
    'Set SESSIONCTL_TOKEN, or SESSIONCTL_ACCESS_KEY and SESSIONCTL_SECRET_KEY, or put them into a context.',
  );
}

/** What a kept token is good for. */
export function tokenUse(
  context: string,
  { endpoint, user, domain }: Keystone,
  project: string,
): TokenUse {
  return { context, endpoint, user, domain, project };
}

/** Logs in and keeps the token. Throws a SessionControlError. */
export async function logIn(
  use: TokenUse,
  password: string,
  cli: CliContext,
  tls: TlsOptions,
): Promise<IssuedToken> {
  const issued = await requestToken(
    { ...use, projectId: use.project, password },
    // The certificate is that of the service; an IAM that nobody can vouch for gets no password.
    { transport: createTransport({ ca: tls.ca }), signal: cli.signal },
  );
  keepToken(cli, use, issued);
  return issued;
}

/** The password that the context, or the environment, or the command in the context has; undefined when a person must be asked. */
export async function configuredPassword(
  { password, password_command }: Keystone,
  cli: CliContext,
): Promise<string | undefined> {
  const fromEnvironment = cli.environment['SESSIONCTL_PASSWORD'] || undefined;
  if (fromEnvironment !== undefined || password !== undefined) return fromEnvironment ?? password;
  return password_command === undefined ? undefined : outputOf(password_command, cli);
}

async function currentToken(
  use: TokenUse,
  keystone: Keystone,
  cli: CliContext,
  tls: TlsOptions,
): Promise<string> {
  const kept = keptToken(cli, use);
  if (kept !== undefined) return kept;
  const password = await configuredPassword(keystone, cli);
  if (password !== undefined) return (await logIn(use, password, cli, tls)).token;
  throw new CommandError(
    EXIT.denied,
    `Nobody is logged in at ${keystone.endpoint} for this context, or the token has expired.`,
    'Run `sessionctl login`.',
  );
}

function remembered(get: () => Promise<string>): () => Promise<string> {
  let last: { readonly at: number; readonly token: Promise<string> } | undefined;
  return () => {
    if (last === undefined || performance.now() - last.at > REMEMBERED_MS) {
      last = { at: performance.now(), token: get() };
    }
    return last.token;
  };
}

/** What a command prints. It is run by the shell, and its own messages are shown. */
async function outputOf(command: string, { environment, signal }: CliContext): Promise<string> {
  const run = promisify(execFile);
  try {
    const { stdout } = await run('/bin/sh', ['-c', command], {
      env: environment,
      timeout: COMMAND_LIMIT_MS,
      signal,
    });
    const output = stdout.trim();
    if (output !== '') return output;
  } catch (error) {
    signal.throwIfAborted();
    const told = isNativeError(error) && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new CommandError(
      EXIT.denied,
      `The command for the credentials failed: ${told || command}.`,
    );
  }
  throw new CommandError(
    EXIT.denied,
    `The command for the credentials printed nothing: ${command}.`,
  );
}
