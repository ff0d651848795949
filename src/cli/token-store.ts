import { join } from 'node:path';
import { stringify } from 'yaml';
import { z } from 'zod';
import type { IssuedToken } from '../client/index.ts';
import { configFolder, readYaml, writePrivately } from './config-file.ts';
import type { CliContext } from './cli-context.ts';

/** Where, as whom and for what a token was got: for anything else it is not used. */
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

/** A token that expires sooner might not last for the request. */
const SPARE_MS = 60_000;

/** The token that was kept for this use, unless it has expired. */
export function keptToken(cli: CliContext, use: TokenUse): string | undefined {
  const kept = readTokens(cli).find((entry) => isFor(entry, use));
  const isGood = kept !== undefined && kept.expires_at.getTime() - SPARE_MS > Date.now();
  return isGood ? kept.token : undefined;
}

/** Keeps a token in a file of its own, which only its owner may read, instead of the one before it. */
export function keepToken(cli: CliContext, use: TokenUse, issued: IssuedToken): void {
  const others = readTokens(cli).filter(({ context }) => context !== use.context);
  const entry = { ...use, token: issued.token, expires_at: issued.expiresAt };
  writePrivately(storePath(cli), stringify([...others, entry]));
}

// What cannot be read is no token: the next log-in writes it anew.
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
