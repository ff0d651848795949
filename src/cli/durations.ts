export { formatDuration, parseDuration } from '../client/index.ts';

/** Formats a count of rows: exact up to 99,999, then shortened, such as `1.2 M`. */
export function formatCount(count: bigint | number): string {
  if (count < 100_000) return count.toLocaleString('en-US');
  const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });
  return short.format(count).replace(/(?=[A-Z])/, ' ');
}

/** Formats a count with its noun, such as `1 session` or `2 sessions`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;
}
