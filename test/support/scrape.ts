/** The metrics at one moment. */
export interface Scrape {
  readonly text: string;
  /** The value of each series, by the name and the labels as in the text. */
  readonly series: ReadonlyMap<string, number>;
}

/** Reads the metrics at this base URL. Rejects if the status is not 200. */
export async function scrape(url: string): Promise<Scrape> {
  const response = await fetch(`${url}/metrics`);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${text}`);
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const pairs = lines.map((line): [string, number] => {
    const end = line.lastIndexOf(' ');
    return [line.slice(0, end), Number(line.slice(end + 1))];
  });
  return { text, series: new Map(pairs) };
}
