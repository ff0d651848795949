import { generate, type SubjectAltNameEntry } from 'selfsigned';

/** A certificate and its key in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Makes a certificate for `localhost` and 127.0.0.1 that is its own authority and can sign others. */
export async function selfSigned(name: string): Promise<Certificate> {
  return make(name, true, [
    { type: 2, value: 'localhost' },
    { type: 7, ip: '127.0.0.1' },
  ]);
}

/** Makes a certificate for one host name, signed by an authority. It is valid for a year, or until the given date. */
export async function signedBy(
  authority: Certificate,
  name: string,
  until?: Date,
): Promise<Certificate> {
  return make(name, false, [{ type: 2, value: name }], authority, until);
}

async function make(
  name: string,
  cA: boolean,
  altNames: SubjectAltNameEntry[],
  ca?: Certificate,
  until?: Date,
): Promise<Certificate> {
  const pems = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA },
      { name: 'subjectAltName', altNames },
    ],
    ...(ca && { ca }),
    ...(until && { notBeforeDate: new Date(0), notAfterDate: until }),
  });
  return { cert: pems.cert, key: pems.private };
}
