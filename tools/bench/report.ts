import type { Figure, LaneResult, Results } from './results.ts';
import type { Aim } from '../lib/statistics.ts';

/** Formats the results of a run: the lanes, then the figures with their targets, then the notes. */
export function table({ lanes, figures, notes }: Results): string {
  return [
    ...columns([['', 'lane', 'p50', 'p99', 'samples'], ...lanes.map(laneRow)]),
    '',
    ...columns([['', 'figure', 'value', 'aim', ''], ...figures.map(figureRow)]),
    ...(notes.length > 0 ? ['', ...notes] : []),
  ].join('\n');
}

function laneRow({ measurement, server, lane, p50, p99, samples, unit }: LaneResult): string[] {
  const value = (number: number): string => `${short(number)} ${unit}`;
  return [heading(measurement, server), lane, value(p50), value(p99), String(samples)];
}

function figureRow({ measurement, server, what, value, aim, verdict }: Figure): string[] {
  return [heading(measurement, server), what, short(value), formatAim(aim), verdict];
}

function heading(measurement: string, server: string): string {
  return `${measurement}  ${server}`.trimEnd();
}

function formatAim(aim: Aim): string {
  return 'atMost' in aim ? `≤ ${aim.atMost}` : `≥ ${aim.atLeast}`;
}

/** Formats a number with three significant digits. */
export function short(number: number): string {
  if (!Number.isFinite(number)) return '–';
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(number) || 1)));
  return number.toFixed(Math.min(3, decimals));
}

/** Aligns rows as columns. In the first column, a cell that repeats the one above is blank. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, at) =>
    Math.max(...rows.map((row) => row[at]?.length ?? 0)),
  );
  return rows.map((row, index) =>
    row
      .map((cell, at) => {
        const isRepeated = at === 0 && cell === rows[index - 1]?.[0];
        return (isRepeated ? '' : cell).padEnd(widths[at] ?? 0);
      })
      .join('  ')
      .trimEnd(),
  );
}
