import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import {
  createTransport,
  requestToken,
  SessionControlError,
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
  /** The flag or variable of the token, and of the access key. */
  readonly tokenName: string;
  readonly keyName: string;
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
  for (const source of given) {
    const { where, token, accessKey, secretKey, securityToken } = source;
    if (token !== undefined && accessKey !== undefined) {
      throw usageError(`There are a token and an access key in ${where}.`, 'Use only one of them.');
    }
    if ((accessKey === undefined) !== (secretKey === undefined)) {
      throw usageError(
        `There is only half of an access key in ${where}.`,
        'Give both --access-key and --secret-key.',
      );
    }
    const overrides =
      name !== undefined && context.credentials !== undefined
        ? `, which overrides the context ${name}`
        : '';
    if (token !== undefined) {
      cli.credentialSource = `${source.tokenName}${overrides}`;
      return { token: oneLine(token, source.tokenName) };
    }
    if (accessKey === undefined && securityToken !== undefined) {
      throw usageError(
        `There is a security token without its access key in ${where}.`,
        'Give --access-key and --secret-key as well.',
      );
    }
    if (accessKey !== undefined && secretKey !== undefined) {
      cli.credentialSource = `${source.keyName} and its secret${overrides}`;
      return {
        accessKey: oneLine(accessKey, source.keyName),
        secretKey: oneLine(secretKey, `the secret of ${source.keyName}`),
        securityToken: securityToken && oneLine(securityToken, `the security token in ${where}`),
      };
    }
  }
  const { token, token_command, access_key, secret_key, security_token, keystone } =
    context.credentials ?? {};
  const of = `of the context ${name ?? ''}`;
  if (token !== undefined) {
    cli.credentialSource = `the token ${of}`;
    return { token: oneLine(token, cli.credentialSource) };
  }
  if (token_command !== undefined) {
    cli.credentialSource = `the output of token_command ${of}`;
    return { token: cached(() => outputOf(token_command, cli)) };
  }
  if (access_key !== undefined && secret_key !== undefined) {
    cli.credentialSource = `access_key and secret_key ${of}`;
    return { accessKey: access_key, secretKey: secret_key, securityToken: security_token };
  }
  if (keystone !== undefined) {
    const use = tokenUse(name ?? '', keystone, projectId);
    cli.credentialSource = `the token from ${keystone.endpoint}: \`sessionctl login\` gets a new one`;
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
  ).catch((error: unknown) => {
    if (!(error instanceof SessionControlError) || error.kind !== 'denied') throw error;
    throw new CommandError(
      EXIT.denied,
      error.message,
      `The user is ${use.user} of the domain ${use.domain}, and the project ${use.project}.`,
    );
  });
  storeToken(cli, use, issued);
  return issued;
}

/** Returns a secret without one final line break. Throws a usage error if another line break is left: no header can hold one. */
function oneLine(secret: string, name: string): string {
  const text = secret.replace(/\r?\n$/, '');
  if (!/[\r\n\0]/.test(text)) return text;
  throw usageError(`There is a line break in ${name}.`, 'Give only the secret, in one line.');
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
  const password = cli.isUnattended ? undefined : await configuredPassword(keystone, cli);
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

/**
 * Runs a command in the shell and returns its output. The command can ask on the terminal, and its standard error is shown while it runs.
 * Throws a `CommandError` if it fails, prints nothing or does not end in time, and a usage error if it prints several lines.
 */
async function outputOf(command: string, cli: CliContext): Promise<string> {
  const { environment, messages, signal } = cli;
  const isUnattended = cli.isUnattended === true;
  const input = isUnattended ? undefined : terminalOf(cli);
  const timeout = AbortSignal.timeout(COMMAND_LIMIT_MS);
  try {
    const child = spawn('/bin/sh', ['-c', command], {
      env: environment,
      stdio: [input ?? 'ignore', 'pipe', isUnattended ? 'ignore' : 'pipe'],
      // A new session has no terminal to ask on.
      detached: isUnattended,
      signal: AbortSignal.any([signal, timeout]),
    });
    child.stderr?.setEncoding('utf8').on('data', messages.write);
    const [output, code] = await Promise.all([
      text(child.stdout ?? Readable.from([])),
      exitOf(child),
    ]);
    if (code === 0 && output.trim() !== '') {
      return oneLine(output.trim(), 'the output of the command for the credentials');
    }
    const why = code === 0 ? 'printed nothing' : `failed with exit code ${code ?? 'none'}`;
    throw new CommandError(
      EXIT.denied,
      `The command for the credentials ${why}: ${command}.`,
      'Run it by hand to see what it prints.',
    );
  } catch (error) {
    signal.throwIfAborted();
    if (!timeout.aborted) throw error;
    throw new CommandError(
      EXIT.denied,
      `The command for the credentials did not end within ${COMMAND_LIMIT_MS / 1000} s: ${command}.`,
      'Run it by hand to see what it waits for.',
    );
  } finally {
    if (typeof input === 'number') closeSync(input);
  }
}

/** Returns the terminal for the standard input of a command; undefined if there is none. Standard input itself may hold session ids. */
function terminalOf({ input }: CliContext): 'inherit' | number | undefined {
  if (input.isTTY) return 'inherit';
  try {
    return openSync('/dev/tty', 'r');
  } catch {
    return undefined;
  }
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null];
  return code;
}
