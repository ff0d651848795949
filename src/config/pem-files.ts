import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { z } from 'zod';
import { reasonOf, relativeTo } from './yaml-file.ts';

const ENCRYPTED =
  'which is encrypted: remove its passphrase with `openssl pkey -in FILE -out NEW_FILE`';

/** Reads the PEM files that the keys of one group name. Each problem is an issue of its key, with the path of the file. */
export class PemFiles<Key extends string> {
  readonly #yamlFile: string;
  readonly #names: Readonly<Partial<Record<Key, string | undefined>>>;
  readonly #context: z.RefinementCtx;

  /** `yamlFile` is the path of the file with the keys. `names` are the values of the keys. */
  constructor(
    yamlFile: string,
    names: Readonly<Partial<Record<Key, string | undefined>>>,
    context: z.RefinementCtx,
  ) {
    [this.#yamlFile, this.#names, this.#context] = [yamlFile, names, context];
  }

  /** Returns the certificates in the file, in PEM. Reports an issue and returns undefined if the file holds none. */
  certificate(key: Key): string | undefined {
    return this.#read(key, (pem) => {
      new X509Certificate(pem);
    });
  }

  /** Returns a certificate and its private key, in PEM. Reports an issue and returns undefined if the service cannot use them. */
  pair(certKey: Key, keyKey: Key): { readonly cert: string; readonly key: string } | undefined {
    const cert = this.certificate(certKey);
    const key = this.#read(keyKey, createPrivateKey);
    if (cert === undefined || key === undefined) return undefined;
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
      const path = this.#pathOf(certKey);
      this.#report(keyKey, `which does not belong to the first certificate in ${path}`);
      return undefined;
    }
    try {
      createSecureContext({ cert, key });
      return { cert, key };
    } catch (error) {
      this.#report(certKey, `which TLS cannot use (${reasonOf(error)})`);
      return undefined;
    }
  }

  #read(key: Key, parse: (pem: string) => unknown): string | undefined {
    let pem: string | undefined;
    try {
      pem = readFileSync(this.#pathOf(key), 'utf8');
      parse(pem);
      return pem;
    } catch (error) {
      const what = parse === createPrivateKey ? 'private key' : 'certificate';
      if (pem === undefined) this.#report(key, `which cannot be read (${reasonOf(error)})`);
      else if (/-BEGIN ENCRYPTED|,ENCRYPTED/.test(pem)) this.#report(key, ENCRYPTED);
      else this.#report(key, `which holds no ${what} in PEM`);
      return undefined;
    }
  }

  #pathOf(key: Key): string {
    return resolve(relativeTo(this.#yamlFile, this.#names[key] ?? ''));
  }

  #report(key: Key, problem: string): void {
    const message = `names ${this.#pathOf(key)}, ${problem}`;
    this.#context.addIssue({ code: 'custom', path: [key], message });
  }
}
