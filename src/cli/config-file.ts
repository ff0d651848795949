import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { isNativeError } from 'node:util/types';
import { Document, parse, parseDocument } from 'yaml';
import { z } from 'zod';
import { EXIT } from './exit-codes.ts';
import { CommandError } from './failures.ts';
import type { CliContext } from './cli-context.ts';

const text = z.string().min(1);

const credentials = z
  .strictObject({
    token: text.optional(),
    token_command: text.optional(),
    access_key: text.optional(),
    secret_key: text.optional(),
    security_token: text.optional(),
    keystone: z
      .strictObject({
        endpoint: z.url(),
        user: text,
        domain: text,
        password: text.optional(),
        password_command: text.optional(),
      })
      .optional(),
  })
  .refine(
    ({ access_key, secret_key }) => (access_key === undefined) === (secret_key === undefined),
    {
      message: 'access_key and secret_key must be given together',
    },
  )
  .refine(
    (given) =>
      [given.token, given.token_command, given.access_key, given.keystone].filter(
        (kind) => kind !== undefined,
      ).length <= 1,
    { message: 'give only one of token, token_command, access_key and keystone' },
  );

const context = z.strictObject({
  endpoint: z.url().optional(),
  project: text.optional(),
  instance: text.optional(),
  nodes: z.array(text).optional(),
  credentials: credentials.optional(),
  tls: z
    .strictObject({
      ca_file: text.optional(),
      cert_file: text.optional(),
      key_file: text.optional(),
      insecure: z.boolean().optional(),
    })
    .optional(),
  language: z.enum(['en-us', 'zh-cn']).optional(),
});

const configuration = z.strictObject({
  current: text.optional(),
  contexts: z.record(z.string(), context).default({}),
});

export type Context = z.infer<typeof context>;
export type Configuration = z.infer<typeof configuration>;

/** A context with its name. If no context is chosen, the name is undefined and the context is empty. */
export interface NamedContext {
  readonly name: string | undefined;
  readonly context: Context;
}

/** Returns the path of the folder that holds the configuration file and the tokens. */
export function configFolder({ environment, homeFolder }: CliContext): string {
  return join(environment['XDG_CONFIG_HOME'] || join(homeFolder, '.config'), 'sessionctl');
}

/** Reads the configuration file. Without a file there are no contexts. Throws a `CommandError` that lists all problems of the file. */
export function readConfiguration(cli: CliContext): Configuration {
  const path = configPath(cli);
  const found = readYaml(path);
  if (found === undefined) return { contexts: {} };
  const { success, data, error } = configuration.safeParse(found ?? {});
  if (success) {
    warnIfReadableByOthers(path, found, cli);
    return data;
  }
  const problems = error.issues.map(({ path: where, message }) =>
    where.length > 0 ? `${where.join('.')}: ${message}` : message,
  );
  throw new CommandError(EXIT.configuration, `${path}: ${problems.join('; ')}.`);
}

/** Changes the configuration file, keeps its comments, and sets its mode to 600. Throws like `readConfiguration`. */
export function changeConfiguration(cli: CliContext, change: (document: Document) => void): void {
  const path = configPath(cli);
  readConfiguration(cli);
  const document =
    readText(path) === undefined ? new Document({}) : parseDocument(readText(path) ?? '');
  change(document);
  writePrivately(path, document.toString());
}

/** Replaces a file atomically and sets its mode to 600. A symbolic link stays: the file that it names is replaced. */
export function writePrivately(link: string, content: string): void {
  mkdirSync(dirname(link), { recursive: true, mode: 0o700 });
  const path = existsSync(link) ? realpathSync(link) : link;
  const draft = `${path}.new`;
  writeFileSync(draft, content, { mode: 0o600 });
  // writeFileSync ignores the mode if the draft already exists.
  chmodSync(draft, 0o600);
  renameSync(draft, path);
}

/** Reads a YAML file, or returns undefined if the file does not exist. Throws a `CommandError` if the file cannot be read. */
export function readYaml(path: string): unknown {
  const content = readText(path);
  try {
    return content === undefined ? undefined : (parse(content) as unknown);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isNativeError(error) && 'code' in error && error.code === 'ENOENT') return undefined;
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): CommandError {
  const [reason = ''] = (isNativeError(error) ? error.message : String(error)).split('\n');
  return new CommandError(EXIT.configuration, `${path} cannot be read: ${reason}`);
}

function configPath(cli: CliContext): string {
  return join(configFolder(cli), 'config.yaml');
}

function warnIfReadableByOthers(path: string, content: unknown, { messages }: CliContext): void {
  const hasSecret = /"(token|secret_key|password)":/.test(JSON.stringify(content));
  if (hasSecret && (statSync(path).mode & 0o077) !== 0) {
    messages.line(`sessionctl: other users can read the secrets in ${path}: chmod 600 ${path}`);
  }
}
