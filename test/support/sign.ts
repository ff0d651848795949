import { createHash, createHmac } from 'node:crypto';
import type { AccessKey } from '../../src/identity/access-keys.ts';
import { nodeKey } from './ids.ts';

export const ACCESS_KEY: AccessKey = {
  access: 'AKEXAMPLE000000000001',
  secret: 'SKexample/secret+key=000000000000000001',
  user: 'signer',
  projectId: nodeKey.projectId,
  actions: ['gaussdbformysql:*'],
};

export interface ToSign {
  readonly method: string;
  readonly path: string;
  /** As `a=b&c=d`, sorted and encoded already. */
  readonly query?: string;
  /** The headers to sign, by names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly at?: Date;
  readonly key?: Pick<AccessKey, 'access' | 'secret'>;
}

/** The headers of a request signed as all official SDKs do; written for the tests alone, from the description. */
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
