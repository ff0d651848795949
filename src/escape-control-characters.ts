/** Characters that JSON leaves unescaped and terminals act on: DEL, C1 controls, line and paragraph separators, direction marks. */
const CONTROL_CHARACTERS = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Returns the JSON with these characters escaped: a terminal shows it as one line, in its written order. */
export function escapeControlCharacters(json: string): string {
  return json.replace(
    CONTROL_CHARACTERS,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
