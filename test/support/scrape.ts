/** What one reading of the metrics gave. */
export interface Scrape {
  readonly text: string;
  /** Every series, as it stands in the text, with its value. */
  readonly series: ReadonlyMap<string, number>;
}

/** Reads the metrics at this base of URLs. */
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
