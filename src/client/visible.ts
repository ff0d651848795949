/**
 * Makes a text safe for a terminal. White space becomes one space.
 * Control and format characters and lone surrogates are escaped, such as `\x1b`: a terminal would act on them or hide them.
 */
export function visible(text: string): string {
  return text
    .replace(/[\t\n\r\v\f ]+/g, ' ')
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) => {
      const code = character.codePointAt(0) ?? 0;
      return code <= 0xff
        ? `\\x${code.toString(16).padStart(2, '0')}`
        : `\\u{${code.toString(16)}}`;
    });
}

/** Escapes control and format characters in JSON, or in YAML with quoted strings. The document keeps its meaning. */
export function escaped(text: string): string {
  return text.replace(/[\u007f-\u009f]|[\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    [...Array(character.length).keys()]
      .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
