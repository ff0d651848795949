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

  async authenticate({ token, request }: Credentials): Promise<Caller> {
    const [authorization = ''] = headerValues(request, 'authorization');
    const signer = /^(SDK|V11)-HMAC-/.test(authorization)
      ? this.#accessKeys.verify(request)
      : undefined;
    if (token === undefined || token === '') {
      if (signer === undefined) throw unauthenticated('x-auth-token not found');
      return signer;
    }
    const bearer = await this.#bearer(token);
    return signer === undefined ? bearer : both(signer, bearer);
  }

  async #bearer(token: string): Promise<Caller> {
    const caller = this.#tokens.find(token) ?? (await this.#keystone?.verify(token));
    if (caller === undefined) throw unauthenticated('decrypt token fail');
    return caller;
  }
}

/** Two proofs: one project, and what both allow. */
function both(signer: Caller, bearer: Caller): Caller {
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
