/** A word is similar if at most this share of the longer one must change. */
const MAX_SHARE = 0.4;

/** Returns the sentence part `; did you mean WORD?` for the most similar of the known words, or an empty text if none is similar. `before` stands before WORD. */
export function didYouMean(given: string, known: readonly string[], before = ''): string {
  const [best] = known
    .map((word) => ({ word, share: edits(given, word) / Math.max(given.length, word.length) }))
    .filter(({ share }) => share <= MAX_SHARE)
    .sort((one, other) => one.share - other.share);
  return best === undefined ? '' : `; did you mean ${before}${best.word}?`;
}

/** Returns the number of characters to insert, remove, replace or swap with the next one, in any letter case. */
function edits(from: string, to: string): number {
  const [one, other] = [from.toLowerCase(), to.toLowerCase()];
  const rows = [Array.from({ length: other.length + 1 }, (_, column) => column)];
  for (let row = 1; row <= one.length; row += 1) {
    const line = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const isSame = one[row - 1] === other[column - 1];
      const isSwap = one[row - 2] === other[column - 1] && one[row - 1] === other[column - 2];
      line[column] = Math.min(
        (rows[row - 1]?.[column] ?? 0) + 1,
        (line[column - 1] ?? 0) + 1,
        (rows[row - 1]?.[column - 1] ?? 0) + (isSame ? 0 : 1),
        row > 1 && column > 1 && isSwap ? (rows[row - 2]?.[column - 2] ?? 0) + 1 : Infinity,
      );
    }
    rows.push(line);
  }
  return rows[one.length]?.[other.length] ?? 0;
}
