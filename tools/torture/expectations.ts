import type { Expected } from './history.ts';

/** Whether a session is what the caller says to have seen; told anew from the API's contract. */
export function isMeant(
  session: { readonly host: string; readonly user: string },
  { host, user }: Omit<Expected, 'id'>,
): boolean {
  if (host !== undefined && /:\d+$/.test(host)) return session.host === host;
  const address = session.host.slice(0, session.host.lastIndexOf(':'));
  if (host !== undefined && host !== address) return false;
  return user === undefined || session.user === user;
}
