import { parse } from 'lossless-json';
import request from 'supertest';
import { processesPath } from './ids.ts';
import { TOKEN, type TestService } from './service.ts';

/** The response to a call. */
export interface Called {
  readonly status: number;
  /** Integers are bigints. */
  readonly body: unknown;
}

const NODE = processesPath().replace(/\/processes$/, '');
const DELETES = ['', '?dry_run=true', '?scope=statement', '?scope=statement&dry_run=true'] as const;

/** Makes every call about a whole node, by name. */
export async function callsOfNode(service: TestService): Promise<ReadonlyMap<string, Called>> {
  const names = [
    'processes?limit=100',
    'processes?limit=100&with=transaction',
    'summary',
    'blockers',
    'capabilities',
  ];
  const called = new Map<string, Called>();
  for (const name of names) {
    called.set(name, await send(request(service.app).get(`${NODE}/${name}`)));
  }
  return called;
}

/** Makes every call about one session id, by name; each DELETE with `return=representation`. Sends KILLs. */
export async function callsOfId(
  service: TestService,
  id: bigint,
): Promise<ReadonlyMap<string, Called>> {
  const called = new Map<string, Called>();
  for (const path of [`processes/${id}`, `process/lock-wait?pid=${id}`]) {
    const name = path.replace(/\d+$/, 'ID');
    called.set(name, await send(request(service.app).get(`${NODE}/${path}`)));
  }
  for (const query of DELETES) {
    const sent = request(service.app)
      .delete(`${NODE}/processes${query}`)
      .set('Prefer', 'return=representation')
      .type('application/json')
      .send(`{"processes":[${id}]}`);
    called.set(`DELETE processes${query}`, await send(sent));
  }
  return called;
}

async function send(sent: request.Test): Promise<Called> {
  const { status, text } = await sent.set('X-Auth-Token', TOKEN);
  return { status, body: parse(text, undefined, { parseNumber: BigInt }) };
}

/** Returns all integers of a response that can be session ids. */
export function idsIn(body: unknown): bigint[] {
  if (Array.isArray(body)) return body.flatMap(idsIn);
  if (typeof body !== 'object' || body === null) return typeof body === 'bigint' ? [body] : [];
  return Object.entries(body).flatMap(([key, value]) => {
    const isNumber = typeof value === 'bigint';
    // The counts, times and numbers of threads are no session ids.
    return isNumber && !/^(id|waits_for|\w*pid)$/.test(key) ? [] : idsIn(value);
  });
}
