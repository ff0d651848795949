/** The project of all simulated nodes. */
export const PROJECT = '619d3e78f61b4be68bc5aa0b59edcf7b';
/** The tokens of several callers: the load is above the limit of one caller. */
export const TOKENS: readonly string[] = ['a', 'b', 'c', 'd'].map((name) => `fleet-${name}`);
/** The control account. */
export const CONTROL = { user: 'session_control', password: 'fleet' };

/** A loopback address that no other program uses: the clients of an earlier program may still connect to its port. */
export const NODES_HOST = '127.20.7.1';

const NODES_PER_INSTANCE = 4;

/** Returns the id of a node from its number. */
export function nodeId(node: number): string {
  return `${digits(node)}no07`;
}

/** Returns the id of the instance of a node from the number of the node. */
export function instanceId(node: number): string {
  return `${digits(Math.floor(node / NODES_PER_INSTANCE))}in07`;
}

/** Returns the numbers from `first` up to, not including, `last`. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first }, (_, index) => first + index);
}

function digits(number: number): string {
  return number.toString(16).padStart(32, '0');
}
