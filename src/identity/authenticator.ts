import { unauthenticated, type Caller, type Credentials, type Identity } from '../domain/caller.ts';
import type { AccessKeys } from './access-keys.ts';
import { headerValues } from './canonical-request.ts';
import type { KeystoneTokens } from './keystone-tokens.ts';
import type { StaticTokens } from './static-tokens.ts';

/** Every kind of credential that the configuration has. */
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

/** Two proofs, if it is two: one project, and what both allow. */
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
