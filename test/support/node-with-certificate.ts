import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer } from '../../tools/own-server.ts';
import { selfSigned, signedBy, type Certificate } from './certificates.ts';
import { createAccounts, type Server } from './server.ts';

/** A throw-away server that offers TLS and has a spare port. */
export interface NodeWithCertificate {
  readonly server: Server;
  readonly adminPort: number;
  /** The authority that signed the server's certificate, and whose certificates the server accepts from clients. */
  readonly authority: Certificate;
  /** The path of the certificate of the authority that signed the server's certificate. */
  readonly caFile: string;
  /** The host name in the server's certificate. */
  readonly name: string;
  stop(): Promise<void>;
}

/** Starts a server with a certificate. Rejects with a sentence if that fails. */
export async function startNodeWithCertificate(
  flavour: Server['flavour'],
): Promise<NodeWithCertificate> {
  const folder = mkdtempSync(join(tmpdir(), 'session-control-node-tls-'));
  const name = 'db1.internal';
  const ca = await selfSigned('node authority');
  const { cert, key } = await signedBy(ca, name);
  // The server runs under another account and must read the folder.
  chmodSync(folder, 0o755);
  const options = Object.entries({ ca: ca.cert, cert, key }).map(([kind, pem]) => {
    writeFileSync(join(folder, `${kind}.pem`), pem);
    return `--ssl-${kind}=${join(folder, `${kind}.pem`)}`;
  });
  const own = await startServer(flavour, { arguments: options });
  return {
    server: await createAccounts(own),
    adminPort: own.adminPort ?? 0,
    authority: ca,
    caFile: join(folder, 'ca.pem'),
    name,
    stop: async () => {
      await own.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
