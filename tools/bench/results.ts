import { judge, summarize, type Aim, type Summary, type Verdict } from '../lib/statistics.ts';
import type { Measurement } from './settings.ts';

/** The samples of a lane, summarized. */
export interface LaneResult extends Summary {
  readonly measurement: Measurement;
  /** The server and its version. */
  readonly server: string;
  /** The name of the lane. */
  readonly lane: string;
  readonly unit: string;
}

/** A figure with its target. */
export interface Figure {
  readonly measurement: Measurement;
  readonly server: string;
  readonly what: string;
  readonly value: number;
  readonly aim: Aim;
  readonly verdict: Verdict;
}

/** The results of a run. */
export class Results {
  readonly lanes: LaneResult[] = [];
  readonly figures: Figure[] = [];
  /** Sentences about limits of the run, or missing programs. */
  readonly notes: string[] = [];

  /** Adds the samples of a lane and returns their median. */
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

  /** Adds a figure and compares it with its target. */
  figure(measurement: Measurement, server: string, what: string, value: number, aim: Aim): void {
    this.figures.push({ measurement, server, what, value, aim, verdict: judge(value, aim) });
  }

  /** Adds a note, once. */
  note(text: string): void {
    if (!this.notes.includes(text)) this.notes.push(text);
  }
}
