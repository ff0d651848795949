import { hash, timingSafeEqual } from 'node:crypto';
import { grantedActions, unauthenticated, type GrantedAction } from '../domain/caller.ts';
import type { Caller, Credentials, Identity } from '../domain/caller.ts';
import type { AccessKeys } from './access-keys.ts';
import { headerValues } from './canonical-request.ts';
import type { KeystoneTokens } from './keystone-tokens.ts';

/** The hash of a token from the configuration, and the caller that the token proves. */
export interface StaticToken {
  /** SHA-256 of the token, 64 hex digits. */
  readonly sha256: string;
  readonly user: string;
  readonly projectId: string;
  readonly actions: readonly GrantedAction[];
}

/** Checks every kind of credential that the configuration has. */
export class Authenticator implements Identity {
  readonly #tokens: StaticTokens;
  readonly #accessKeys: AccessKeys;
  readonly #keystone: KeystoneTokens | undefined;

  constructor(tokens: StaticTokens, accessKeys: AccessKeys, keystone?: KeystoneTokens) {
    this.#tokens = tokens;
    this.#accessKeys = accessKeys;
    this.#keystone = keystone;
  }

  authenticate({ token, request }: Credentials): Caller | Promise<Caller> {
    const [authorization = ''] = headerValues(request, 'authorization');
    const signer = /^(SDK|V11)-HMAC-/.test(authorization)
      ? this.#accessKeys.verify(request)
      : undefined;
    if (token === undefined || token === '') {
      if (signer === undefined) throw unauthenticated('x-auth-token not found');
      return signer;
    }
    const known = this.#tokens.find(token);
    return known === undefined ? this.#ask(token, signer) : both(signer, known);
  }

  async #ask(token: string, signer: Caller | undefined): Promise<Caller> {
    const bearer = await this.#keystone?.verify(token);
    if (bearer === undefined) throw unauthenticated('decrypt token fail');
    return both(signer, bearer);
  }
}

/** The callers with a token from the configuration, which holds only the hash of each token. */
export class StaticTokens {
  #tokens: readonly { readonly hash: Buffer; readonly caller: Caller }[] = [];

  constructor(tokens: readonly StaticToken[]) {
    this.replace(tokens);
  }

  /** Replaces all tokens. */
  replace(tokens: readonly StaticToken[]): void {
    this.#tokens = tokens.map(({ sha256, user, projectId, actions }) => ({
      hash: Buffer.from(sha256, 'hex'),
      caller: { user, projectId, actions: grantedActions(actions), proof: 'token' },
    }));
  }

  /** Returns the caller that the token proves, or undefined for an unknown token. */
  find(token: string): Caller | undefined {
    const came = hash('sha256', token, 'buffer');
    // Compares with every token: the duration must not reveal which token was nearly right.
    const matches = this.#tokens.filter((known) => timingSafeEqual(known.hash, came));
    return matches[0]?.caller;
  }
}

/** Returns the caller that both credentials prove. It may do only the actions that both allow. Throws `unauthenticated` for two projects. */
function both(signer: Caller | undefined, bearer: Caller): Caller {
  if (signer === undefined) return bearer;
  if (signer.projectId !== bearer.projectId) {
    throw unauthenticated('the token and the signature prove different projects');
  }
  return {
    user: signer.user === bearer.user ? signer.user : `${signer.user} and ${bearer.user}`,
    projectId: signer.projectId,
    actions: signer.actions.filter((action) => bearer.actions.includes(action)),
    proof: `${signer.proof} and ${bearer.proof}`,
    signature: signer.signature,
  };
}
