import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type { RequestOnWire } from '../../src/domain/caller.ts';
import { AccessKeys, type AccessKey } from '../../src/identity/access-keys.ts';
import { canonicalRequest } from '../../src/identity/canonical-request.ts';
import { ACCESS_KEY } from '../support/sign.ts';

interface Vector {
  readonly name: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly ak: string;
  readonly sk: string;
  readonly canonicalRequest: string;
  readonly authorization: string;
}

const vectors = JSON.parse(
  readFileSync(new URL('signing-vectors.json', import.meta.url), 'utf8'),
) as readonly Vector[];
const [first] = vectors as [Vector];
const AT = Date.UTC(2026, 10, 24, 12, 0, 0);
const CALLER = {
  user: 'signer',
  projectId: ACCESS_KEY.projectId,
  actions: [
    'gaussdbformysql:instance:listProcesses',
    'gaussdbformysql:instance:deleteProcesses',
    'gaussdbformysql:instance:get',
  ],
  proof: `access key ${ACCESS_KEY.access}`,
};

function requestOf(vector: Vector, changes: Partial<RequestOnWire> = {}): RequestOnWire {
  const url = new URL(vector.url);
  return {
    method: vector.method,
    target: vector.url.slice(url.origin.length),
    rawHeaders: [...Object.entries(vector.headers), ['Authorization', vector.authorization]].flat(),
    body: Buffer.from(vector.body),
    address: '192.0.2.1',
    ...changes,
  };
}

/** Returns the request with other values of some headers; undefined removes a header. */
function withHeaders(
  request: RequestOnWire,
  changes: Readonly<Record<string, string | undefined>>,
): RequestOnWire {
  const kept = request.rawHeaders.filter((_text, index) => {
    const name = request.rawHeaders[index - (index % 2)] ?? '';
    return !Object.keys(changes).some((changed) => changed.toLowerCase() === name.toLowerCase());
  });
  const added = Object.entries(changes).flatMap(([name, value]) =>
    value === undefined ? [] : [name, value],
  );
  return { ...request, rawHeaders: [...kept, ...added] };
}

function verifier(changes: Partial<AccessKey> = {}) {
  // The process starts an hour earlier, so that only the 15-minute window counts.
  let now = AT - 3_600_000;
  const clock = () => now;
  const keys = new AccessKeys([{ ...ACCESS_KEY, ...changes }], false, clock, clock);
  now = AT;
  return { keys, passTime: (ms: number) => (now += ms) };
}

describe('a signed request', () => {
  it.each(vectors)('from the official signer is accepted: $name', (vector) => {
    const request = requestOf(vector);
    const [, signedHeaders = ''] = /SignedHeaders=([^,]+)/.exec(vector.authorization) ?? [];
    const [, signature] = /Signature=(\w+)/.exec(vector.authorization) ?? [];
    expect(canonicalRequest(request, signedHeaders)).toBe(vector.canonicalRequest);
    expect(verifier().keys.verify(request)).toEqual({
      ...CALLER,
      signature: `${ACCESS_KEY.access} ${String(signature)}`,
    });
  });

  const signed = requestOf(first);
  const changed: readonly [string, RequestOnWire][] = [
    ['method', requestOf(first, { method: 'POST' })],
    ['path', requestOf(first, { target: signed.target.replace('0483', '0493') })],
    ['query', requestOf(first, { target: `${signed.target}?a=` })],
    ['signed header', withHeaders(signed, { 'X-Language': 'zh-cm' })],
    ['signed header that is missing', withHeaders(signed, { 'X-Language': undefined })],
    ['host', withHeaders(signed, { host: '127.0.0.1:8081' })],
    ['body', requestOf(first, { body: Buffer.from(first.body.replace('14097', '14099')) })],
    ['body by a space', requestOf(first, { body: Buffer.from(`${first.body} `) })],
    ['date', withHeaders(signed, { 'X-Sdk-Date': '20261124T120001Z' })],
    [
      'signature',
      withHeaders(signed, { Authorization: first.authorization.replace('51cbdcb4', '51cbdcb5') }),
    ],
    [
      'hash of the body that does not match',
      withHeaders(signed, { 'X-Sdk-Content-Sha256': '0'.repeat(64) }),
    ],
    [
      'body that is declared unsigned',
      withHeaders(signed, { 'X-Sdk-Content-Sha256': 'UNSIGNED-PAYLOAD' }),
    ],
  ];

  it.each(changed)(
    'is refused with a changed %s, and the canonical request is in the message',
    (_what, request) => {
      expect(() => verifier().keys.verify(request)).toThrow(
        /^verify aksk signature fail, canonicalRequest:\w+\|\/v3\/.*\|[0-9a-f]{64}$/,
      );
    },
  );

  it('has at most 4 KB of its canonical request in the message, without the credential', () => {
    const vector = vectors[2] as Vector;
    const request = withHeaders(requestOf(vector), { 'X-Language': 'a'.repeat(9000) });
    const authorization = vector.authorization
      .replace('x-security-token', 'x-security-token;x-language')
      .replace('Signature=5', 'Signature=6');
    let message = '';
    try {
      verifier().keys.verify(withHeaders(request, { Authorization: authorization }));
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain('|x-security-token:***|x-language:aaa');
    expect(message).not.toContain('gQpj+sts');
    expect(message.length).toBeLessThan(4096 + 60);
  });

  it.each([
    [
      'an unknown key',
      { Authorization: first.authorization.replace('AKEXAMPLE', 'AKUNKNOWN') },
      'ak AKUNKNOWN000000000001 not exist',
    ],
    [
      'no date',
      { 'X-Sdk-Date': undefined },
      'verify aksk signature fail, X-Sdk-Date must be YYYYMMDDTHHMMSSZ and signed',
    ],
    [
      'a date of another form',
      { 'X-Sdk-Date': '2026-11-24T12:00:00Z' },
      'verify aksk signature fail, X-Sdk-Date must be YYYYMMDDTHHMMSSZ and signed',
    ],
    [
      'a date that is not signed',
      { Authorization: first.authorization.replace(';x-sdk-date', '') },
      'verify aksk signature fail, X-Sdk-Date must be YYYYMMDDTHHMMSSZ and signed',
    ],
    [
      'no signature',
      { Authorization: 'SDK-HMAC-SHA256 Access=AKEXAMPLE000000000001' },
      'verify aksk signature fail, the header Authorization is malformed',
    ],
  ])('is refused with %s', (_what, changes, message) => {
    expect(() => verifier().keys.verify(withHeaders(signed, changes))).toThrow(message);
  });

  it.each(['SDK-HMAC-SM3', 'SDK-HMAC-SHA999', 'V11-HMAC-SM3', 'SDK-HMAC-', 'SDK-HMAC-SHA256-SM3'])(
    'is refused with the algorithm %s, and the message names the supported ones',
    (algorithm) => {
      const Authorization = first.authorization.replace('SDK-HMAC-SHA256', algorithm);
      expect(() => verifier().keys.verify(withHeaders(signed, { Authorization }))).toThrow(
        'verify aksk signature fail, the algorithm is not supported: use SDK-HMAC-SHA256 or V11-HMAC-SHA256',
      );
    },
  );

  it.each([
    [15 * 60_000, true],
    [-15 * 60_000, true],
    [15 * 60_000 + 1000, false],
    [-15 * 60_000 - 1000, false],
  ])('is accepted within 15 minutes of its date: %d ms', (ms, isGood) => {
    const { keys, passTime } = verifier();
    passTime(ms);
    const verify = () => keys.verify(signed);
    if (isGood) expect(verify()).toMatchObject(CALLER);
    else expect(verify).toThrow('calc ak sk signature fail:signature expired');
  });

  it('that changes something is refused if it is older than a process without shared responses', () => {
    const keys = new AccessKeys([ACCESS_KEY], false, () => AT + 1000);
    expect(() => keys.verify(signed)).toThrow('signature expired');
    expect(keys.verify(requestOf(vectors[1] as Vector))).toMatchObject(CALLER);
    const sameSecond = new AccessKeys([ACCESS_KEY], false, () => AT + 999);
    expect(sameSecond.verify(signed)).toMatchObject(CALLER);
    const sharing = new AccessKeys([ACCESS_KEY], true, () => AT + 1000);
    expect(sharing.verify(signed)).toMatchObject(CALLER);
  });

  it('that changes something is refused after its response has expired, even if the clock steps back', () => {
    let [wall, monotonic] = [AT - 3_600_000, 0];
    const keys = new AccessKeys(
      [ACCESS_KEY],
      false,
      () => wall,
      () => monotonic,
    );
    const pass = (minutes: number) => {
      wall += minutes * 60_000;
      monotonic += minutes * 60_000;
    };
    pass(60);
    expect(keys.verify(signed)).toMatchObject(CALLER);
    pass(25);
    expect(() => keys.verify(signed)).toThrow('signature expired');
    wall -= 40 * 60_000;
    expect(keys.verify(signed)).toMatchObject(CALLER);
    pass(5);
    for (let n = 0; n < 3; n += 1) {
      expect(() => keys.verify(signed)).toThrow('signature expired');
      expect(keys.verify(requestOf(vectors[1] as Vector))).toMatchObject(CALLER);
      pass(5);
    }
  });

  it.each([
    // A caller with the right time sends this request a minute after the start.
    ['after the start is accepted', 60, true],
    ['before the start is refused', -60, false],
    // If the client's clock ran ahead too, an earlier process may have executed this request.
    ['ahead of the right clock is accepted, captured or not', 600, true],
  ])(
    'that changes something, dated %s, once the clock steps back',
    (_what, afterStart, isAccepted) => {
      const startedAt = AT - afterStart * 1000;
      let [wall, monotonic] = [startedAt + 3_600_000, 0];
      const keys = new AccessKeys(
        [ACCESS_KEY],
        false,
        () => wall,
        () => monotonic,
      );
      expect(() => keys.verify(signed)).toThrow('signature expired');
      monotonic = 120_000;
      wall = startedAt + monotonic;
      if (isAccepted) expect(keys.verify(signed)).toMatchObject(CALLER);
      else expect(() => keys.verify(signed)).toThrow('signature expired');
    },
  );

  describe('of temporary credentials', () => {
    const token = { 'X-Security-Token': 'gQpj+sts/token=example' };
    const other = { 'X-Security-Token': 'gQpj+sts/token=examplf' };
    const temporary = requestOf(vectors[2] as Vector);
    const twice = {
      ...signed,
      rawHeaders: [...signed.rawHeaders, ...Object.entries(token).flat()],
    };
    twice.rawHeaders.push('x-security-token', token['X-Security-Token']);

    it.each([
      ['signed', temporary],
      [
        'which is added after signing, as terraform-provider-huaweicloud does',
        withHeaders(signed, token),
      ],
    ])('is accepted with their token, %s', (_how, request) => {
      expect(
        verifier({ securityToken: token['X-Security-Token'] }).keys.verify(request),
      ).toMatchObject(CALLER);
    });

    it.each([
      ['without their token', signed],
      ['with an empty token', withHeaders(signed, { 'X-Security-Token': '' })],
      ['with another token that was added after signing', withHeaders(signed, other)],
      ['with another token in place of the signed one', withHeaders(temporary, other)],
      ['with the token twice', twice],
      [
        'with the token and a bad signature',
        withHeaders(requestOf(first, { method: 'PUT' }), token),
      ],
    ])('is refused %s', (_how, request) => {
      const { keys } = verifier({ securityToken: token['X-Security-Token'] });
      expect(() => keys.verify(request)).toThrow('verify aksk signature fail');
    });
  });

  it('with a bad signature, five times in a row, locks the key for that address for five minutes', () => {
    const { keys, passTime } = verifier();
    const bad = requestOf(first, { method: 'PUT' });
    const good = requestOf(vectors[1] as Vector);
    const elsewhere = { ...good, address: '192.0.2.2' };
    for (let tries = 0; tries < 4; tries += 1) {
      expect(() => keys.verify(bad)).toThrow('canonicalRequest');
    }
    expect(keys.verify(good)).toMatchObject(CALLER);
    for (let tries = 0; tries < 5; tries += 1) {
      expect(() => keys.verify(bad)).toThrow('canonicalRequest');
    }

    expect(() => keys.verify(good)).toThrow('AK access failed to reach the limit,forbidden');
    expect(keys.verify(elsewhere)).toMatchObject(CALLER);
    passTime(5 * 60_000 - 1);
    expect(() => keys.verify(good)).toThrow('forbidden');
    passTime(1);
    expect(keys.verify(good)).toMatchObject(CALLER);
  });

  const signing = (names: readonly string[]): RequestOnWire => {
    const date = first.headers['X-Sdk-Date'] ?? '';
    const authorization = `SDK-HMAC-SHA256 Access=${ACCESS_KEY.access}, SignedHeaders=${names.join(';')}, Signature=${'0'.repeat(64)}`;
    return { ...signed, rawHeaders: ['X-Sdk-Date', date, 'Authorization', authorization] };
  };

  it.each([
    ['65 signed names', ['x-sdk-date', ...Array.from({ length: 64 }, (_, n) => `x-${n}`)]],
    ['a name that is signed twice', ['x-sdk-date', 'host', 'host']],
    ['a name that is signed twice, in two spellings', ['x-sdk-date', 'host', 'Host']],
  ])('is refused with %s', (_what, names) => {
    expect(() => verifier().keys.verify(signing(names))).toThrow(
      'verify aksk signature fail, SignedHeaders must be at most 64 names, none twice',
    );
  });

  it('costs work in proportion to its headers, however many names it signs', () => {
    const names = ['x-sdk-date', ...Array.from({ length: 63 }, (_, n) => `x-${n}`)];
    const few = readsOf(signing(names));
    const many = readsOf({
      ...signing(names),
      rawHeaders: [...signing(names).rawHeaders, ...Array<string>(20_000).fill('b')],
    });
    expect(many - few).toBeLessThanOrEqual(2 * 20_000);
  });

  /** Returns how often a header is read until the request is refused. */
  function readsOf(request: RequestOnWire): number {
    let reads = 0;
    const rawHeaders = new Proxy(request.rawHeaders, {
      get: (headers, key): unknown => {
        if (typeof key === 'string' && /^\d+$/.test(key)) reads += 1;
        return Reflect.get(headers, key) as unknown;
      },
    });
    expect(() => verifier().keys.verify({ ...request, rawHeaders })).toThrow('canonicalRequest');
    return reads;
  }

  it('is verified by the keys that are in force at the moment', () => {
    const { keys } = verifier();
    keys.replace([]);
    expect(() => keys.verify(signed)).toThrow('not exist');
  });
});
