/** What JSON leaves as it is, and a terminal or a reader of lines obeys: DEL and the C1 controls, ends of lines, marks of direction. */
const OBEYED = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A line of JSON in which such characters are escaped, so that it reads as one line, in its order, wherever it is shown. */
export function plainLine(json: string): string {
  return json.replace(
    OBEYED,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
