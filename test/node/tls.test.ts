import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import type { Node, NodeTls } from '../../src/domain/node.ts';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { selfSigned, signedBy, type Certificate } from '../support/certificates.ts';
import { processesPath } from '../support/ids.ts';
import { killOne } from '../support/kill-one.ts';
import { asRoot, createAccounts, nodeOn, pinOf, servers, type Server } from '../support/server.ts';
import { createService, TOKEN } from '../support/service.ts';

const NAME = 'db1.internal';
const UNVERIFIED = "The node's TLS certificate cannot be verified.";

/** The sentence for an account that requires TLS on a node that offers none. MySQL asks for the password first. */
const OFFERS_NONE = {
  mariadb:
    'The node refuses the control account, and offers no TLS. If the account has REQUIRE SSL, give the node TLS.',
  mysql:
    'The node offers no TLS and asks for the password of the control account, but the service sends no password without TLS. Give the node TLS.',
};

for (const { flavour, version, canHavePair } of servers) {
  (canHavePair ? describe : describe.skip)(`a ${flavour} ${version} with a certificate`, () => {
    testCertificates(flavour);
  });
}

function testCertificates(flavour: Server['flavour']): void {
  const folder = mkdtempSync(join(tmpdir(), 'session-control-tls-'));
  let own: OwnServer;
  let server: Server;
  let ca: Certificate;

  beforeAll(async () => {
    ca = await selfSigned('node authority');
    const { cert, key } = await signedBy(ca, NAME);
    // The server runs under its own system account.
    chmodSync(folder, 0o755);
    const files = { ca: ca.cert, cert, key };
    const options = Object.entries(files).map(([name, pem]) => {
      const path = join(folder, `${name}.pem`);
      writeFileSync(path, pem);
      return `--ssl-${name}=${path}`;
    });
    own = await startServer(flavour, { arguments: options });
    server = await createAccounts(own);
    if (flavour === 'mysql') {
      const sql = `GRANT SERVICE_CONNECTION_ADMIN ON *.* TO ${server.control.user}`;
      await asRoot(server, (root) => root.query(sql));
    }
  }, 120_000);
  afterAll(async () => {
    await own.stop();
    rmSync(folder, { recursive: true });
  });

  const kill = (tls: NodeTls, changes: Partial<Node> = {}): Promise<string> =>
    killOne(server, { tls, ...changes });

  it('is trusted if its authority signed the configured name', async () => {
    expect(await kill({ ca: ca.cert, serverName: NAME })).toBe('killed');
  });

  it('is trusted at an IP address if its authority signed it, whatever the name', async () => {
    expect(await kill({ ca: ca.cert, serverName: undefined })).toBe('killed');
  });

  it.each(['db2.internal', 'localhost'])('is not trusted as %s', async (serverName) => {
    expect(await kill({ ca: ca.cert, serverName })).toBe(`Server failure. ${UNVERIFIED}`);
  });

  it('is not trusted as the host of the node if the certificate lacks that name', async () => {
    const tls = { ca: ca.cert, serverName: undefined };
    expect(await kill(tls, { host: 'localhost' })).toBe(`Server failure. ${UNVERIFIED}`);
  });

  it.each([undefined, NAME])(
    'is not trusted if another authority is pinned, with the name %s',
    async (name) => {
      const other = await selfSigned('another authority');
      const tls = { ca: other.cert, serverName: name };
      expect(await kill(tls)).toBe(`Server failure. ${UNVERIFIED}`);
      // After an untrusted certificate, the service must not try the spare port either.
      const spare = { admin: { host: server.host, port: own.adminPort ?? 0 } };
      expect(await kill(tls, spare)).toBe(`Server failure. ${UNVERIFIED}`);
    },
  );

  it('is also verified on the spare port', async () => {
    const admin = { host: server.host, port: own.adminPort ?? 0 };
    const shut = { port: 9, admin, ...(await pinOf(server)) };
    expect(await kill({ ca: ca.cert, serverName: NAME }, shut)).toBe('killed');
    expect(await kill({ ca: ca.cert, serverName: 'db2.internal' }, shut)).not.toBe('killed');
  });

  // Only MariaDB still has an authentication plugin that the driver lacks.
  if (flavour === 'mariadb') {
    it('is not blamed for an account whose authentication plugin is not supported', async () => {
      await asRoot(server, async (root) => {
        await root.query('SET GLOBAL secure_auth = OFF');
        const hash = "CAST(OLD_PASSWORD('a secret') AS CHAR)";
        await root.query(
          `SET @sql = CONCAT("CREATE USER old@'%' IDENTIFIED VIA mysql_old_password USING '", ${hash}, "'")`,
        );
        await root.query('EXECUTE IMMEDIATE @sql');
      });
      const account = { user: 'old', password: 'a secret' };
      const sentence =
        'Server failure. The service does not support the authentication plugin of the control account. Give it mysql_native_password, caching_sha2_password or sha256_password.';
      for (const tls of [{ ca: ca.cert, serverName: NAME }, 'offered', 'disabled'] as const) {
        expect([tls, await kill(tls, account)]).toEqual([tls, sentence]);
      }
    });
  }

  // Only MySQL has accounts that must send their password.
  if (flavour !== 'mysql') return;
  it('receives no password without TLS', async () => {
    const account = { user: 'said', password: 'a secret' };
    const sent: Buffer[] = [];
    const listener = createServer((client) => {
      const to = connect(server.port, server.host);
      client.on('data', (data) => sent.push(data));
      client.pipe(to).pipe(client);
      for (const socket of [client, to]) socket.on('error', () => undefined);
    }).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    await asRoot(server, async (root) => {
      await root.query(`CREATE USER said@'%' IDENTIFIED WITH caching_sha2_password BY 'a secret'`);
      await root.query(`GRANT PROCESS, CONNECTION_ADMIN, SERVICE_CONNECTION_ADMIN ON *.* TO said`);
    });

    expect(await kill('disabled', { ...account, port })).toMatch(/sends no password without TLS/);
    const [length, keyRequest] = [1, 2];
    const asks = Buffer.concat(sent).includes(Buffer.from([length, 0, 0, 3, keyRequest]));
    expect(asks).toBe(false);
    expect(sent.length).toBeGreaterThan(0);
    // After this login, the node caches the password, and a proof is enough.
    expect(await kill('offered', account)).toBe('killed');
    expect(await kill('disabled', { ...account, port })).toBe('killed');
    listener.close();
  });
}

for (const { flavour, version, canHavePair } of servers) {
  (canHavePair ? it : it.skip)(
    `a ${flavour} ${version} without TLS is named as the cause if the account may require TLS`,
    async () => {
      const own = await startServer(flavour, { arguments: ['--tls-version='] });
      try {
        const control = { user: 'secured', password: 'a secret' };
        const root = { user: own.rootUser, password: own.rootPassword };
        const server: Server = { ...own, root, control, app: control };
        await asRoot(server, (root) =>
          root.query(`CREATE USER secured@'%' IDENTIFIED BY 'a secret' REQUIRE SSL`),
        );
        const list = async (tls: NodeTls, language: string): Promise<string> => {
          const { app } = createService({ registry: [nodeOn(server, { tls })] });
          const headers = { 'X-Auth-Token': TOKEN, 'X-Language': language };
          const { text } = await request(app).get(processesPath()).set(headers);
          return (JSON.parse(text) as { error_msg: string }).error_msg;
        };
        expect(await list('offered', 'en-us')).toBe(`Server failure. ${OFFERS_NONE[flavour]}`);
        expect(await list('offered', 'zh-cn')).toMatch(/不支持TLS.*请为节点启用TLS。$/);
        expect(await list('disabled', 'en-us')).toMatch(
          / without TLS\. .*emove tls: disabled from the configuration\.$/,
        );
      } finally {
        await own.stop();
      }
    },
    120_000,
  );
}

for (const server of servers.filter(({ flavour }) => flavour === 'mariadb')) {
  it('the service refuses a node without TLS if the registry requires a certificate', async () => {
    const { cert } = await selfSigned('node authority');
    const tls = { ca: cert, serverName: undefined };
    const { body } = await createService({ registry: [nodeOn(server, { tls })] }).list();
    expect(body).toMatchObject({
      error_msg: expect.stringMatching(/^Server failure\. The node offers no TLS/) as unknown,
    });
  });
}
