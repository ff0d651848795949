import { visible, type NodeAddress, type NodeEntry, type Session } from '../client/index.ts';

/** Returns a text of a node as one line, with control and format characters made visible: they could hide or reorder text. */
export function line(text: string): string {
  return visible(text);
}

/** Returns a text of a node with its line breaks, and with all other control and format characters made visible. */
export function lines(text: string): string {
  return text.split(/\r?\n/).map(visible).join('\n');
}

/** Returns the clock time, such as `03:12:45`. */
export function clock(at: number | Date): string {
  return new Date(at).toLocaleTimeString('sv');
}

/** Returns the day and the clock time. */
export function dayAndClock(at: Date): string {
  return at.toLocaleString('sv');
}

/** Returns a host without its port. */
export function hostOf({ host }: Pick<Session, 'host'>): string {
  return host.replace(/:\d+$/, '');
}

/** Returns a random key of 32 hex digits. Browsers have no `randomUUID` on a page that came without TLS. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Returns the name of a node for people. */
export function nameOf({ name, nodeId }: NodeEntry): string {
  return name ?? nodeId;
}

/** Returns the ids of a node. */
export function addressOfNode(projectId: string, { instanceId, nodeId }: NodeEntry): NodeAddress {
  return { projectId, instanceId, nodeId };
}
