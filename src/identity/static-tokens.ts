import { createHash, timingSafeEqual } from 'node:crypto';
import type { Caller, Credentials, Identity } from '../domain/caller.ts';
import { ServiceError } from '../errors.ts';

/** A token from the configuration: only its hash is known. */
export interface StaticToken extends Caller {
  /** SHA-256 of the token, 64 hex digits. */
  readonly sha256: string;
}

/** Callers who prove themselves with a token whose hash is in the configuration. */
export class StaticTokens implements Identity {
  #tokens: readonly { readonly hash: Buffer; readonly caller: Caller }[] = [];

  constructor(tokens: readonly StaticToken[]) {
    this.replace(tokens);
  }

  /** From now on these are the tokens, and no others. */
  replace(tokens: readonly StaticToken[]): void {
    this.#tokens = tokens.map(({ sha256, user, projectId, actions }) => ({
      hash: Buffer.from(sha256, 'hex'),
      caller: { user, projectId, actions },
    }));
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- other identities ask over the network
  async authenticate({ token }: Credentials): Promise<Caller> {
    if (token === undefined || token === '') throw unauthenticated('x-auth-token not found');
    const hash = createHash('sha256').update(token).digest();
    // No early end: how long it takes must not tell which token was nearly right.
    const matches = this.#tokens.filter((known) => timingSafeEqual(known.hash, hash));
    const match = matches[0];
    if (match === undefined) throw unauthenticated('decrypt token fail');
    return match.caller;
  }
}

// The gateway's own words, which callers know: they are the same in both languages.
function unauthenticated(reason: string): ServiceError {
  return new ServiceError('unauthenticated', { 'en-us': reason, 'zh-cn': reason });
}
