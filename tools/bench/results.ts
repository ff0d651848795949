import { judge, summarize, type Aim, type Summary, type Verdict } from '../lib/statistics.ts';
import type { Measurement } from './settings.ts';

/** What a lane took, in milliseconds unless it says so. */
export interface LaneResult extends Summary {
  readonly measurement: Measurement;
  /** Which server, and its version; empty where none matters. */
  readonly server: string;
  readonly lane: string;
  readonly unit: string;
}

/** A figure for which there is an aim. */
export interface Figure {
  readonly measurement: Measurement;
  readonly server: string;
  readonly what: string;
  readonly value: number;
  readonly aim: Aim;
  readonly verdict: Verdict;
}

/** What a run has found so far. */
export class Results {
  readonly lanes: LaneResult[] = [];
  readonly figures: Figure[] = [];
  /** What limits the run, or is missing. */
  readonly notes: string[] = [];

  /** Keeps the samples of a lane; returns their median. */
  lane(
    measurement: Measurement,
    server: string,
    lane: string,
    samples: readonly number[],
    unit = 'ms',
  ): number {
    const summary = summarize(samples);
    this.lanes.push({ measurement, server, lane, unit, ...summary });
    return summary.p50;
  }

  figure(measurement: Measurement, server: string, what: string, value: number, aim: Aim): void {
    this.figures.push({ measurement, server, what, value, aim, verdict: judge(value, aim) });
  }

  note(text: string): void {
    if (!this.notes.includes(text)) this.notes.push(text);
  }
}
