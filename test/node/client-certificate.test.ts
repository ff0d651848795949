import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Node, VerifiedTls } from '../../src/domain/node.ts';
import { selfSigned, signedBy, type Certificate } from '../support/certificates.ts';
import { processesPath } from '../support/ids.ts';
import { killOne } from '../support/kill-one.ts';
import { startNodeWithCertificate } from '../support/node-with-certificate.ts';
import type { NodeWithCertificate } from '../support/node-with-certificate.ts';
import { asRoot, pinOf, servers, type Server } from '../support/server.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/until.ts';

const TOKEN = 'token-of-the-certificate-test';

for (const { flavour, version, canHavePair } of servers) {
  (canHavePair ? describe : describe.skip)(
    `the control account of a ${flavour} ${version} with REQUIRE X509`,
    () => {
      testClientCertificates(flavour);
    },
  );
}

function testClientCertificates(flavour: Server['flavour']): void {
  let own: NodeWithCertificate;
  let server: Server;
  let client: Certificate;
  beforeAll(async () => {
    own = await startNodeWithCertificate(flavour);
    server = own.server;
    client = await signedBy(own.authority, 'session-control');
    await require('X509');
    if (flavour === 'mysql') {
      const sql = `GRANT SERVICE_CONNECTION_ADMIN ON *.* TO ${server.control.user}`;
      await asRoot(server, (root) => root.query(sql));
    }
  }, 120_000);
  afterAll(() => own.stop());

  async function require(what: string): Promise<void> {
    await asRoot(server, (root) =>
      root.query(`ALTER USER '${server.control.user}'@'%' REQUIRE ${what}`),
    );
  }

  const kill = (tls: Partial<VerifiedTls>, changes: Partial<Node> = {}): Promise<string> => {
    const verified = { ca: own.authority.cert, serverName: own.name, ...tls };
    return killOne(server, { tls: verified, ...changes });
  };

  it('logs in with a certificate that the authority of the node signed', async () => {
    expect(await kill({ client })).toBe('killed');
  });

  it('logs in over the spare port, too', async () => {
    const admin = { host: server.host, port: own.adminPort };
    const full = { port: 9, admin, ...(await pinOf(server)) };
    expect(await kill({ client }, full)).toBe('killed');
  });

  it('is refused without a certificate', async () => {
    expect(await kill({})).toBe('Server failure. The node refuses the control account.');
  });

  it('is refused with a certificate of another authority', async () => {
    const stranger = await signedBy(await selfSigned('another authority'), 'session-control');
    expect(await kill({ client: stranger })).toBe(
      'Server failure. The node refuses the client certificate of the service. Give the service a certificate that has not expired and that an authority of the node (ssl_ca) signed.',
    );
  });

  it('is refused with a certificate that has expired', async () => {
    const expired = await signedBy(own.authority, 'session-control', new Date('2020-01-02'));
    expect(await kill({ client: expired })).toMatch(/refuses the client certificate/);
  });

  it('does not reach the spare port after the node refused the certificate', async () => {
    const stranger = await selfSigned('session-control');
    const admin = { host: server.host, port: own.adminPort };
    expect(await kill({ client: stranger }, { admin, ...(await pinOf(server)) })).toMatch(
      /refuses the client certificate/,
    );
  });

  describe('after a change of the certificate and SIGHUP', () => {
    const service = new ServiceProcess();
    afterAll(() => {
      service.remove();
    });

    async function list(): Promise<readonly [number, string]> {
      const response = await fetch((await service.url()) + processesPath(), {
        headers: { 'X-Auth-Token': TOKEN },
      });
      return [response.status, await response.text()];
    }

    async function renew(name: string): Promise<void> {
      const { cert, key } = await signedBy(own.authority, name);
      service.write('client.pem', cert);
      service.write('client.key', key);
    }

    it('logs in with the new certificate', async () => {
      await require("SUBJECT '/CN=second'");
      await renew('first');
      service.configure(server, TOKEN, {
        node: `tls: { ca_file: ${own.caFile}, server_name: ${own.name}, cert_file: client.pem, key_file: client.key }`,
      });
      service.start({ NODE_PASSWORD: server.control.password });
      expect(await list()).toEqual([
        500,
        expect.stringContaining('The node refuses the control account.'),
      ]);

      await renew('second');
      service.signal('SIGHUP');
      await until('it has reloaded', () => service.events('reloaded').length === 1);
      expect(await list()).toEqual([200, expect.stringContaining('"processes":')]);
    });

    it('keeps the old certificate if the new one does not belong to its key', async () => {
      service.write('client.key', client.key);
      service.signal('SIGHUP');
      await until('it has refused', () => service.events('reload refused').length === 1);
      expect(service.events('reload refused')[0]?.['problems']).toEqual([
        expect.stringMatching(
          /nodes\[0\]\.tls\.key_file names \S+\/client\.key, which does not belong to the first certificate in \S+\/client\.pem$/,
        ),
      ]);
      expect((await list())[0]).toBe(200);
    });
  });
}
