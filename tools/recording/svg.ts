import headless from '@xterm/headless';

const COLUMNS = 112;
const ROWS = 200;
const [WIDTH, HEIGHT, MARGIN] = [7.8, 17, 14];
const COLORS: Readonly<Record<number, string>> = {
  1: '#ff7b72',
  2: '#7ee787',
  3: '#e3b341',
  4: '#79c0ff',
  6: '#56d4dd',
};

/** The number of columns of the recorded terminal. */
export const TERMINAL_COLUMNS = COLUMNS;

/** Draws the content of a terminal as SVG, after the text was written to the terminal. */
export async function drawTerminal(written: string, title: string): Promise<string> {
  const terminal = new headless.Terminal({ cols: COLUMNS, rows: ROWS, allowProposedApi: true });
  await new Promise<void>((done) => {
    terminal.write(written, done);
  });
  const lines = Array.from({ length: ROWS }, (_, row) => lineOf(terminal, row));
  const last = lines.findLastIndex((line) => line !== '');
  const [width, height] = [
    Math.ceil(COLUMNS * WIDTH + 2 * MARGIN),
    (last + 1) * HEIGHT + 2 * MARGIN,
  ];
  // Each line has `xml:space`, because Chromium does not inherit it from the `svg` element.
  const rows = lines
    .slice(0, last + 1)
    .map(
      (line, row) =>
        `<text xml:space="preserve" x="${MARGIN}" y="${MARGIN + (row + 0.75) * HEIGHT}">${line}</text>`,
    );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13" fill="#d1d7e0">
<title>${escapeXml(title)}</title>
<rect width="100%" height="100%" rx="8" fill="#151b23"/>
${rows.join('\n')}
</svg>
`;
}

interface Style {
  readonly fill: string | undefined;
  readonly isBold: boolean;
  readonly isDim: boolean;
}

function lineOf(terminal: headless.Terminal, row: number): string {
  const line = terminal.buffer.active.getLine(row);
  const length = line?.translateToString(true).length ?? 0;
  let text = '';
  let open: string | undefined;
  for (let column = 0; column < length; column += 1) {
    const cell = line?.getCell(column);
    if (cell === undefined || cell.getWidth() === 0) continue;
    const style = attributes({
      fill: cell.isFgPalette() ? COLORS[cell.getFgColor() % 8] : undefined,
      isBold: cell.isBold() !== 0,
      isDim: cell.isDim() !== 0,
    });
    if (style !== open) {
      if (open !== undefined && open !== '') text += '</tspan>';
      if (style !== '') text += `<tspan${style}>`;
      open = style;
    }
    text += escapeXml(cell.getChars() || ' ');
  }
  return open !== undefined && open !== '' ? `${text}</tspan>` : text;
}

function attributes({ fill, isBold, isDim }: Style): string {
  return [
    ...(fill === undefined ? [] : [` fill="${fill}"`]),
    ...(isBold ? [' font-weight="bold"'] : []),
    ...(isDim ? [' opacity="0.6"'] : []),
  ].join('');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
