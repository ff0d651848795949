import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ownerOf } from '../../src/http/request-context.ts';
import { KeystoneTokens, type KeystoneSettings } from '../../src/identity/keystone-tokens.ts';
import { FakeKeystone } from '../support/fake-keystone.ts';
import { nodeKey } from '../support/ids.ts';
import { until } from '../support/until.ts';

const SERVICE = 'token-of-the-service';
const LIST = 'gaussdbformysql:instance:listProcesses';
const KILL = 'gaussdbformysql:instance:deleteProcesses';
const GET = 'gaussdbformysql:instance:get';

let iam: FakeKeystone;
beforeEach(async () => {
  iam = new FakeKeystone();
  iam.services.add(SERVICE);
  await iam.start();
});
afterEach(() => {
  iam.stop();
});

function start(changes: Partial<KeystoneSettings> = {}): KeystoneTokens {
  return new KeystoneTokens(settings(changes));
}

function settings(changes: Partial<KeystoneSettings> = {}): KeystoneSettings {
  return {
    endpoint: iam.endpoint,
    cacheSeconds: 30,
    // A busy machine never stalls for a minute. A test about the timeout sets a shorter one.
    timeoutMs: 60_000,
    serviceToken: SERVICE,
    roleActions: { admin: ['*'], member: ['*'], reader: [LIST] },
    ...changes,
  };
}

describe('a token of IAM', () => {
  it('proves the user, the project and the actions of the roles', async () => {
    iam.tokens.set('good', { user: 'bob', roles: ['member', 'reader'] });
    iam.tokens.set('reading', { user: 'carol', roles: ['reader', 'toString'] });
    const tokens = start();

    expect(await tokens.verify('good')).toEqual({
      user: 'bob',
      projectId: nodeKey.projectId,
      actions: [LIST, KILL, GET],
      proof: 'IAM token of id-of-bob',
    });
    expect(await tokens.verify('reading')).toMatchObject({ user: 'carol', actions: [LIST] });
  });

  it('distinguishes users with the same name in different domains', async () => {
    iam.tokens.set('here', { user: 'bob', userId: '1' });
    iam.tokens.set('there', { user: 'bob', userId: '2' });
    const tokens = start();
    const callers = await Promise.all([tokens.verify('here'), tokens.verify('there')]);
    const owners = callers.map((caller) => ownerOf({ caller }));
    expect(new Set(owners).size).toBe(2);
  });

  it('is reported as known only while the cache holds it', async () => {
    iam.tokens.set('good', {});
    const reported: boolean[] = [];
    const tokens = new KeystoneTokens(settings(), (wasKnown) => reported.push(wasKnown));
    await Promise.all([tokens.verify('good'), tokens.verify('good')]);
    await tokens.verify('good');
    tokens.replace(settings());
    await tokens.verify('good');
    expect([reported, iam.lookups]).toEqual([[false, false, true, false], 2]);
  });

  it('validates itself if the service has no token of its own', async () => {
    iam.tokens.set('good', {});
    const tokens = start({ serviceToken: undefined });

    expect(await tokens.verify('good')).toMatchObject({ user: 'bob' });
    await expect(tokens.verify('bad')).rejects.toMatchObject({
      code: 'unauthenticated',
      message: 'decrypt token fail',
    });
  });

  it('is refused if it is unknown, expired or impossible', async () => {
    iam.tokens.set('old', { expiresAt: new Date(Date.now() - 1000) });
    const tokens = start();

    for (const token of ['unknown', 'old', 'two words', 'ünknown']) {
      await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'unauthenticated' });
    }
    expect(iam.lookups).toBe(2);
  });

  it('without a project has an empty project id', async () => {
    iam.tokens.set('unscoped', { projectId: undefined });
    expect(await start().verify('unscoped')).toMatchObject({ projectId: '' });
  });

  it('can be 32 KB long', async () => {
    const long = 'g'.repeat(32_768);
    iam.tokens.set(long, {});
    expect(await start({ serviceToken: undefined }).verify(long)).toMatchObject({ user: 'bob' });
  });
});

describe('the cache of tokens', () => {
  it('joins concurrent look-ups of one token, and answers later ones', async () => {
    iam.tokens.set('good', {});
    const tokens = start();

    await Promise.all(Array.from({ length: 20 }, () => tokens.verify('good')));
    await tokens.verify('good');

    expect(iam.lookups).toBe(1);
  });

  it('reuses its connection to IAM', async () => {
    const names = Array.from({ length: 10 }, (_, index) => `token-${index}`);
    for (const name of names) iam.tokens.set(name, {});
    const tokens = start();
    for (const name of names) await tokens.verify(name);
    expect(iam.lookups).toBe(10);
    expect(iam.connections).toBeLessThanOrEqual(2);
  });

  it('accepts a revoked token for at most cache_seconds', async () => {
    iam.tokens.set('good', {});
    const tokens = start({ cacheSeconds: 1 });
    await tokens.verify('good');
    const revoked = performance.now();
    iam.tokens.delete('good');

    let lastAccepted = revoked;
    await until('it is refused', () => {
      const asked = performance.now();
      return tokens.verify('good').then(
        () => {
          lastAccepted = asked;
          return false;
        },
        () => true,
      );
    });

    expect(lastAccepted - revoked).toBeLessThan(1010);
  });

  it('does not keep a token beyond its expiry', async () => {
    iam.tokens.set('short', { expiresAt: new Date(Date.now() + 500) });
    const tokens = start();
    await tokens.verify('short');
    await until('it is refused', () =>
      tokens.verify('short').then(
        () => false,
        () => true,
      ),
    );
    await expect(tokens.verify('short')).rejects.toMatchObject({ message: 'token expires' });
    expect(iam.lookups).toBe(1);
  });

  it('keeps a refusal for at most cache_seconds', async () => {
    const tokens = start({ cacheSeconds: 1 });
    await expect(tokens.verify('new')).rejects.toMatchObject({ code: 'unauthenticated' });
    iam.tokens.set('new', {});
    await expect(tokens.verify('new')).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(iam.lookups).toBe(1);
    await until('the token is accepted', () =>
      tokens.verify('new').then(
        () => true,
        () => false,
      ),
    );
  });

  it('answers cached tokens while IAM is down, and fails for others', async () => {
    iam.tokens.set('good', {});
    const tokens = start();
    await tokens.verify('good');
    iam.stop();

    expect(await tokens.verify('good')).toMatchObject({ user: 'bob' });
    await expect(tokens.verify('other')).rejects.toMatchObject({ code: 'iam_unavailable' });
  });

  it('holds at most 10,000 tokens', async () => {
    // The first token can leave the cache only because of the number of others.
    const tokens = start({ cacheSeconds: 3600 });
    iam.tokens.set('good', {});
    await tokens.verify('good');
    for (let n = 0; n < 10_000; n += 200) {
      const some = Array.from({ length: 200 }, (_, index) => tokens.verify(`t${n + index}`));
      await Promise.allSettled(some);
    }
    await tokens.verify('good');
    expect(iam.lookups).toBe(10_002);
  });

  it('is empty after a reload, which replaces the service token', async () => {
    iam.tokens.set('good', {});
    const tokens = start({ serviceToken: 'old' });
    await expect(tokens.verify('good')).rejects.toMatchObject({ code: 'service_token_refused' });
    tokens.replace(settings());
    expect(await tokens.verify('good')).toMatchObject({ user: 'bob' });
  });
});

describe('a reload of the IAM settings', () => {
  it('does not abort a look-up in progress', async () => {
    iam.tokens.set('good', {});
    let release: (() => void) | undefined;
    iam.fault = (res) => {
      iam.fault = undefined;
      release = () => res.writeHead(404).end();
    };
    const tokens = start();
    const asked = tokens.verify('good');
    const refused = expect(asked).rejects.toMatchObject({ code: 'unauthenticated' });
    await until('IAM is asked', () => release !== undefined);
    tokens.replace(settings());
    release?.();
    await refused;
    expect(await tokens.verify('good')).toMatchObject({ user: 'bob' });
  });
});

it('a token is refused without an IAM, and after a reload that removes the IAM', async () => {
  iam.tokens.set('good', {});
  const tokens = new KeystoneTokens(undefined);
  await expect(tokens.verify('good')).rejects.toMatchObject({ code: 'unauthenticated' });
  tokens.replace(settings());
  expect(await tokens.verify('good')).toMatchObject({ user: 'bob' });
  tokens.replace(undefined);
  await expect(tokens.verify('good')).rejects.toMatchObject({ code: 'unauthenticated' });
});

describe('an IAM that fails', () => {
  it.each([
    ['500', (res: Res) => res.writeHead(500).end()],
    [
      'a redirect',
      (res: Res) => res.writeHead(302, { Location: `${iam.endpoint}/elsewhere` }).end(),
    ],
    ['no JSON', (res: Res) => res.writeHead(200).end('<html>')],
    ['no token', (res: Res) => res.writeHead(200).end('{}')],
    [
      'a token of another form',
      (res: Res) =>
        res
          .writeHead(200)
          .end('{"token":{"expires_at":"2099-01-01T00:00:00Z","user":{"name":5},"roles":7}}'),
    ],
    ['too much', (res: Res) => res.writeHead(200).end(' '.repeat(2_000_000))],
    ['nothing', () => undefined],
  ])('proves no token with the response "%s"', async (_what, fault) => {
    iam.fault = fault;
    const tokens = start({ timeoutMs: 300 });
    await expect(tokens.verify('good')).rejects.toMatchObject({ code: 'iam_unavailable' });
    expect(iam.lookups).toBeLessThanOrEqual(2);
  });

  it('gets one retry after its connection breaks, but not a second one', async () => {
    iam.tokens.set('good', {});
    iam.fault = (res) => {
      iam.fault = undefined;
      res.destroy();
    };
    expect(await start().verify('good')).toMatchObject({ user: 'bob' });
    expect(iam.lookups).toBe(2);

    iam.fault = (res) => res.destroy();
    await expect(start().verify('good')).rejects.toMatchObject({ code: 'iam_unavailable' });
    expect(iam.lookups).toBe(4);
  });

  it('has no failure cached', async () => {
    iam.tokens.set('good', {});
    iam.fault = (res) => res.writeHead(503).end();
    const tokens = start();
    await expect(tokens.verify('good')).rejects.toMatchObject({ code: 'iam_unavailable' });
    iam.fault = undefined;
    expect(await tokens.verify('good')).toMatchObject({ user: 'bob' });
  });
});

type Res = import('node:http').ServerResponse;
