import { hash, timingSafeEqual } from 'node:crypto';
import { grantedActions, type Caller, type GrantedAction } from '../domain/caller.ts';

/** A token from the configuration: only its hash is known. */
export interface StaticToken {
  /** SHA-256 of the token, 64 hex digits. */
  readonly sha256: string;
  readonly user: string;
  readonly projectId: string;
  readonly actions: readonly GrantedAction[];
}

/** Callers who prove themselves with a token whose hash is in the configuration. */
export class StaticTokens {
  #tokens: readonly { readonly hash: Buffer; readonly caller: Caller }[] = [];

  constructor(tokens: readonly StaticToken[]) {
    this.replace(tokens);
  }

  /** From now on these are the tokens, and no others. */
  replace(tokens: readonly StaticToken[]): void {
    this.#tokens = tokens.map(({ sha256, user, projectId, actions }) => ({
      hash: Buffer.from(sha256, 'hex'),
      caller: { user, projectId, actions: grantedActions(actions), proof: 'token' },
    }));
  }

  /** The caller whom the token proves, if it is one of these. */
  find(token: string): Caller | undefined {
    const came = hash('sha256', token, 'buffer');
    // No early end: how long it takes must not tell which token was nearly right.
    const matches = this.#tokens.filter((known) => timingSafeEqual(known.hash, came));
    return matches[0]?.caller;
  }
}
