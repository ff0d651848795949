type Line = readonly [what: string, figure: string, verdict: string];

/** Collects the figures of a run for the table at its end. */
export class Report {
  readonly #lines: Line[] = [];
  readonly #say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  /** What is going on. */
  progress(text: string): void {
    this.#say(`... ${text}`);
  }

  section(title: string): void {
    this.#lines.push([title, '', '']);
  }

  figure(what: string, figure: string): void {
    this.#lines.push([`  ${what}`, figure, '']);
    this.#say(`    ${what}: ${figure}`);
  }

  /** A figure for which there is an aim. */
  aim(what: string, figure: string, aim: string, isMet: boolean): void {
    this.#lines.push([`  ${what}`, figure, `${isMet ? 'met' : 'MISSED'} (aim: ${aim})`]);
    this.#say(`    ${what}: ${figure} ${isMet ? 'met' : 'MISSED'} (aim: ${aim})`);
  }

  print(): void {
    const widest = Math.max(...this.#lines.map(([what]) => what.length));
    this.#say('');
    for (const [what, figure, verdict] of this.#lines) {
      this.#say(
        `${what.padEnd(widest)}  ${figure}${verdict === '' ? '' : `   ${verdict}`}`.trimEnd(),
      );
    }
  }
}
