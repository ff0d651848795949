import { parse } from 'lossless-json';
import request from 'supertest';
import { processesPath } from './ids.ts';
import { TOKEN, type TestService } from './service.ts';

/** An answer whose integers are bigint. */
export interface ReadAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Fields;
}

export type Fields = Readonly<Record<string, unknown>>;

/** Returns the path of a call of the node of the examples. */
export function nodePath(rest: string): string {
  return processesPath().replace(/processes$/, rest);
}

/** Sends a GET for a call of the node of the examples. */
export async function read(
  { app }: Pick<TestService, 'app'>,
  rest: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<ReadAnswer> {
  const sent = request(app)
    .get(nodePath(rest))
    .set({ 'X-Auth-Token': TOKEN, ...headers });
  const { status, headers: received, text } = await sent;
  const body = parse(text, undefined, { parseNumber: (digits) => BigInt(digits) }) as Fields;
  return { status, headers: received, body };
}
