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
import { storeToken, storedToken, type TokenUse } from './token-store.ts';

/** The credentials of one source: the flags or the environment. */
export interface GivenCredentials {
  /** The name of the source, for error messages. */
  readonly where: string;
  readonly token?: string | undefined;
  readonly accessKey?: string | undefined;
  readonly secretKey?: string | undefined;
  readonly securityToken?: string | undefined;
}

type Keystone = NonNullable<NonNullable<Context['credentials']>['keystone']>;

const COMMAND_LIMIT_MS = 30_000;
/** Short enough for `--watch` to get a new token in time, long enough to run the command once for a list of many pages. */
const TOKEN_CACHE_MS = 60_000;

/**
 * Returns the credentials of the first source that has any, else those of the context.
 * Throws a usage error if there are none, or if those of one source contradict each other.
 */
export function credentialsOf(
  given: readonly GivenCredentials[],
  cli: CliContext,
  { name, context }: NamedContext,
  projectId: string,
  tls: TlsOptions,
): Credentials {
  for (const { where, token, accessKey, secretKey, securityToken } of given) {
    if (token !== undefined && accessKey !== undefined) {
      throw usageError(`There are a token and an access key in ${where}.`, 'Use only one of them.');
    }
    if ((accessKey === undefined) !== (secretKey === undefined)) {
      throw usageError(
        `There is only half of an access key in ${where}.`,
        'Give both --access-key and --secret-key.',
      );
    }
    if (token !== undefined) return { token };
    if (accessKey === undefined && securityToken !== undefined) {
      throw usageError(
        `There is a security token without its access key in ${where}.`,
        'Give --access-key and --secret-key as well.',
      );
    }
    if (accessKey !== undefined && secretKey !== undefined) {
      return { accessKey, secretKey, securityToken };
    }
  }
  const { token, token_command, access_key, secret_key, security_token, keystone } =
    context.credentials ?? {};
  if (token !== undefined) return { token };
  if (token_command !== undefined) return { token: cached(() => outputOf(token_command, cli)) };
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

/** Returns the one use that a stored token may have. */
export function tokenUse(
  context: string,
  { endpoint, user, domain }: Keystone,
  project: string,
): TokenUse {
  return { context, endpoint, user, domain, project };
}

/** Logs in at the IAM and stores the token. Throws a `SessionControlError`. */
export async function logIn(
  use: TokenUse,
  password: string,
  cli: CliContext,
  tls: TlsOptions,
): Promise<IssuedToken> {
  const issued = await requestToken(
    { ...use, projectId: use.project, password },
    // --cert-file and --insecure are for the service: the IAM must always prove itself before it gets a password.
    { transport: createTransport({ ca: tls.ca }), signal: cli.signal },
  );
  storeToken(cli, use, issued);
  return issued;
}

/**
 * Returns the password from SESSIONCTL_PASSWORD, the context or its password command, in this order.
 * Returns undefined if there is none, so that the user must type it.
 */
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
  const kept = storedToken(cli, use);
  if (kept !== undefined) return kept;
  const password = await configuredPassword(keystone, cli);
  if (password !== undefined) return (await logIn(use, password, cli, tls)).token;
  throw new CommandError(
    EXIT.denied,
    `There is no valid token of ${keystone.endpoint} for this context.`,
    'Run `sessionctl login`.',
  );
}

function cached(get: () => Promise<string>): () => Promise<string> {
  let last: { readonly at: number; readonly token: Promise<string> } | undefined;
  return () => {
    if (last === undefined || performance.now() - last.at > TOKEN_CACHE_MS) {
      last = { at: performance.now(), token: get() };
    }
    return last.token;
  };
}

/** Runs a command in the shell and returns its output. Throws a `CommandError` with the text that the command wrote to standard error. */
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
    const stderr = isNativeError(error) && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new CommandError(
      EXIT.denied,
      `The command for the credentials failed: ${stderr || command}.`,
    );
  }
  throw new CommandError(
    EXIT.denied,
    `The command for the credentials printed nothing: ${command}.`,
  );
}
