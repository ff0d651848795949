type Row = readonly [what: string, figure: string, verdict: string];

/** Prints the progress of a run, and a table of all figures at its end. */
export class Report {
  readonly #rows: Row[] = [];
  readonly #say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  /** Prints the current step. */
  progress(text: string): void {
    this.#say(`... ${text}`);
  }

  /** Begins a section of the table. */
  section(title: string): void {
    this.#rows.push([title, '', '']);
  }

  /** Prints a figure and adds it to the table. */
  figure(what: string, figure: string): void {
    this.#rows.push([`  ${what}`, figure, '']);
    this.#say(`    ${what}: ${figure}`);
  }

  /** Prints a figure with its target and adds it to the table. */
  aim(what: string, figure: string, aim: string, isMet: boolean): void {
    this.#rows.push([`  ${what}`, figure, `${isMet ? 'met' : 'MISSED'} (aim: ${aim})`]);
    this.#say(`    ${what}: ${figure} ${isMet ? 'met' : 'MISSED'} (aim: ${aim})`);
  }

  /** Prints the table. */
  print(): void {
    const widest = Math.max(...this.#rows.map(([what]) => what.length));
    this.#say('');
    for (const [what, figure, verdict] of this.#rows) {
      this.#say(
        `${what.padEnd(widest)}  ${figure}${verdict === '' ? '' : `   ${verdict}`}`.trimEnd(),
      );
    }
  }
}
