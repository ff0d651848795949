import { join } from 'node:path';
import { stringify } from 'yaml';
import { z } from 'zod';
import type { IssuedToken } from '../client/index.ts';
import { configFolder, readYaml, writePrivately } from './config-file.ts';
import type { CliContext } from './cli-context.ts';

/** The context, IAM, user and project that a token was issued for. The token has no other use. */
export interface TokenUse {
  readonly context: string;
  readonly endpoint: string;
  readonly user: string;
  readonly domain: string;
  readonly project: string;
}

const tokens = z.array(
  z.object({
    context: z.string(),
    endpoint: z.string(),
    user: z.string(),
    domain: z.string(),
    project: z.string(),
    token: z.string(),
    expires_at: z.coerce.date(),
  }),
);

/** A token that expires within this time, in milliseconds, may expire before the request ends. */
const SPARE_MS = 60_000;

/** Returns the stored token for this use, or undefined if there is none that is valid for another minute. */
export function storedToken(cli: CliContext, use: TokenUse): string | undefined {
  const kept = readTokens(cli).find((entry) => isFor(entry, use));
  const isGood = kept !== undefined && kept.expires_at.getTime() - SPARE_MS > Date.now();
  return isGood ? kept.token : undefined;
}

/** Stores a token in place of the last one of its context. The file has mode 600. */
export function storeToken(cli: CliContext, use: TokenUse, issued: IssuedToken): void {
  const others = readTokens(cli).filter(({ context }) => context !== use.context);
  const entry = { ...use, token: issued.token, expires_at: issued.expiresAt };
  writePrivately(storePath(cli), stringify([...others, entry]));
}

/** Removes the token of a context. */
export function removeToken(cli: CliContext, context: string): void {
  const kept = readTokens(cli);
  const others = kept.filter((entry) => entry.context !== context);
  if (others.length < kept.length) writePrivately(storePath(cli), stringify(others));
}

// A file with other content counts as empty: the next log-in replaces it.
function readTokens(cli: CliContext): z.infer<typeof tokens> {
  return tokens.safeParse(readYaml(storePath(cli))).data ?? [];
}

function isFor(entry: TokenUse, use: TokenUse): boolean {
  return (['context', 'endpoint', 'user', 'domain', 'project'] as const).every(
    (name) => entry[name] === use[name],
  );
}

function storePath(cli: CliContext): string {
  return join(configFolder(cli), 'tokens.yaml');
}
