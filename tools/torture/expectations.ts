import type { Expected } from './history.ts';

/** True if a session matches an entry of `expected`. Written from the API's contract, not from the code of the service. */
export function matchesExpected(
  session: { readonly host: string; readonly user: string },
  { host, user }: Omit<Expected, 'id'>,
): boolean {
  if (host !== undefined && /:\d+$/.test(host)) return session.host === host;
  const address = session.host.slice(0, session.host.lastIndexOf(':'));
  if (host !== undefined && host !== address) return false;
  return user === undefined || session.user === user;
}
