/** The project that owns the fleet. */
export const PROJECT = '619d3e78f61b4be68bc5aa0b59edcf7b';
/** Several, since the limit of one caller is below what the load test offers. */
export const TOKENS: readonly string[] = ['a', 'b', 'c', 'd'].map((name) => `fleet-${name}`);
export const CONTROL = { user: 'session_control', password: 'fleet' };

/** Of this machine, but nobody else's: a port that was somebody's before may still have visitors. */
export const NODES_HOST = '127.20.7.1';

const NODES_AN_INSTANCE = 4;

export function nodeId(node: number): string {
  return `${digits(node)}no07`;
}

export function instanceId(node: number): string {
  return `${digits(Math.floor(node / NODES_AN_INSTANCE))}in07`;
}

/** The numbers from the first to before the last. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first }, (_, index) => first + index);
}

function digits(number: number): string {
  return number.toString(16).padStart(32, '0');
}
