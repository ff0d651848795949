import type { IncomingMessage, ServerResponse } from 'node:http';
import helmet from 'helmet';

/** The headers that helmet sets, which are the same on every answer: to have it set them at each request takes three times as long. */
export function securityHeaders(): readonly (readonly [name: string, value: string])[] {
  const headers: [string, string][] = [];
  const res = {
    setHeader: (name: string, value: string) => headers.push([name, value]),
    removeHeader: () => undefined,
  };
  helmet()({} as IncomingMessage, res as unknown as ServerResponse, () => undefined);
  return headers;
}
