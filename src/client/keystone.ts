import { SessionControlError } from './errors.ts';
import { createTransport, type HttpAnswer, type Transport } from './transport.ts';

/** A log-in at an IAM that speaks Keystone v3. */
export interface PasswordLogin {
  /** With or without `/v3`. */
  readonly endpoint: string;
  readonly user: string;
  /** The user's domain by name (on Huawei Cloud: the account). */
  readonly domain: string;
  readonly password: string;
  readonly projectId: string;
}

/** A token that IAM gave. */
export interface IssuedToken {
  readonly token: string;
  readonly expiresAt: Date;
}

/** Gets a token for a project. Throws a SessionControlError: `denied` for a wrong user, password or project. */
export async function requestToken(
  login: PasswordLogin,
  options: { readonly transport?: Transport; readonly signal?: AbortSignal | undefined } = {},
): Promise<IssuedToken> {
  const { user, domain, password, projectId } = login;
  const transport = options.transport ?? createTransport();
  const base = login.endpoint.replace(/\/+$/, '').replace(/\/v3$/, '');
  const answer = await transport({
    method: 'POST',
    url: new URL(`${base}/v3/auth/tokens?nocatalog=true`),
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      auth: {
        identity: {
          methods: ['password'],
          password: { user: { name: user, domain: { name: domain }, password } },
        },
        scope: { project: { id: projectId } },
      },
    }),
    timeoutMs: 30_000,
    signal: options.signal,
  });
  return issuedToken(answer);
}

function issuedToken({ status, headers, text }: HttpAnswer): IssuedToken {
  const token = headers['x-subject-token'];
  if (status === 201 && typeof token === 'string') return { token, expiresAt: expiry(text) };
  const isDenied = status === 401 || status === 403;
  throw new SessionControlError(
    isDenied
      ? 'IAM refuses the log-in: user, domain, password or project is wrong.'
      : `IAM answers with status ${status} and no token.`,
    {
      kind: isDenied ? 'denied' : status >= 500 ? 'failed' : 'refused',
      status,
      mayHaveArrived: true,
    },
  );
}

function expiry(text: string): Date {
  try {
    const { token } = JSON.parse(text) as { token?: { expires_at?: unknown } };
    const expiresAt = new Date(String(token?.expires_at));
    if (!Number.isNaN(expiresAt.getTime())) return expiresAt;
  } catch {
    // Answered below.
  }
  throw new SessionControlError('IAM does not say when its token expires.', {
    kind: 'malformed',
    mayHaveArrived: true,
  });
}
