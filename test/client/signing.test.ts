import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { signedHeaders } from '../../src/client/signing.ts';

interface Vector {
  readonly name: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly ak: string;
  readonly sk: string;
  readonly authorization: string;
}

const vectors = (
  JSON.parse(readFileSync('test/identity/signing-vectors.json', 'utf8')) as readonly Vector[]
).filter(({ authorization }) => authorization.startsWith('SDK-HMAC-SHA256'));

describe('a signature', () => {
  it('is checked against three vectors of the official signer', () => {
    expect(vectors).toHaveLength(3);
  });

  it.each(vectors)('equals that of the official signer: $name', (vector) => {
    const securityToken = vector.headers['X-Security-Token'];
    // signedHeaders adds these headers itself.
    const added = ['X-Sdk-Date', 'X-Security-Token', 'host'];
    const headers = Object.fromEntries(
      Object.entries(vector.headers).filter(([name]) => !added.includes(name)),
    );
    const key = { accessKey: vector.ak, secretKey: vector.sk, securityToken };
    const signed = signedHeaders(
      { method: vector.method, url: new URL(vector.url), headers, body: vector.body },
      key,
      new Date('2026-11-24T12:00:00.999Z'),
    );
    expect(signed['X-Sdk-Date']).toBe('20261124T120000Z');
    expect(signed['Authorization']).toBe(vector.authorization);
  });
});
