import { SessionControlError } from './errors.ts';
import { createTransport, type HttpAnswer, type Transport } from './transport.ts';

/** A log-in with a password at an IAM with the Keystone v3 API. */
export interface PasswordLogin {
  /** The URL of the IAM, with or without `/v3`. */
  readonly endpoint: string;
  readonly user: string;
  /** The name of the user's domain (on Huawei Cloud: the account). */
  readonly domain: string;
  readonly password: string;
  readonly projectId: string;
}

/** A token from IAM. */
export interface IssuedToken {
  readonly token: string;
  readonly expiresAt: Date;
}

/**
 * Requests a token for a project.
 * Throws a `SessionControlError`, of kind `denied` for a wrong user, password or project; rejects with the signal's reason if aborted.
 */
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
      : `IAM returned no token, but status ${status}.`,
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
    // The error below covers this case.
  }
  throw new SessionControlError('IAM returned a token without a valid expiry time.', {
    kind: 'malformed',
    mayHaveArrived: true,
  });
}
