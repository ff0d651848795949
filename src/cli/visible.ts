/**
 * The text as it may go to a terminal: line breaks and tabs are a space, and what else a terminal would act on or hide (control
 * characters, escape sequences, marks that turn the direction, lone surrogates) is spelled out, as `\x1b`.
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

/** JSON, or YAML with quoted texts, in which nothing is left that a terminal would act on: it means the same. */
export function escaped(text: string): string {
  return text.replace(/[\u007f-\u009f]|[\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    [...Array(character.length).keys()]
      .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
