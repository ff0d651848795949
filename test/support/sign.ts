import { createHash, createHmac } from 'node:crypto';
import type { AccessKey } from '../../src/identity/access-keys.ts';
import { nodeKey } from './ids.ts';

/** The access key of the tests. */
export const ACCESS_KEY: AccessKey = {
  access: 'AKEXAMPLE000000000001',
  secret: 'SKexample/secret+key=000000000000000001',
  user: 'signer',
  projectId: nodeKey.projectId,
  actions: ['gaussdbformysql:*'],
};

/** A request to sign. */
export interface ToSign {
  readonly method: string;
  readonly path: string;
  /** The query such as `a=b&c=d`, already sorted and encoded. */
  readonly query?: string;
  /** The headers to sign, with names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly at?: Date;
  readonly key?: Pick<AccessKey, 'access' | 'secret'>;
}

/** Signs a request as the official SDKs do, and returns its headers. Written from the description, not from the code of the service. */
export function sign(request: ToSign): Record<string, string> {
  const { method, path, query = '', body = '', at = new Date(), key = ACCESS_KEY } = request;
  const date = at.toISOString().replace(/[-:]|\.\d+/g, '');
  const headers: Record<string, string> = { ...request.headers, 'x-sdk-date': date };
  const names = Object.keys(headers).sort();
  const lines = names.map((name) => `${name}:${(headers[name] ?? '').trim()}\n`).join('');
  const canonical = [method, `${path}/`, query, lines, names.join(';'), hash(body)].join('\n');
  const toSign = ['SDK-HMAC-SHA256', date, hash(canonical)].join('\n');
  const signature = createHmac('sha256', key.secret).update(toSign).digest('hex');
  const authorization = `SDK-HMAC-SHA256 Access=${key.access}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return { ...headers, Authorization: authorization };
}

function hash(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}
