import { request as requestPlain, type IncomingMessage } from 'node:http';
import { request as requestTls } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { isNativeError } from 'node:util/types';
import { z } from 'zod';
import { readYamlFile, type Environment } from '../config/yaml-file.ts';
import { host, integer, text } from '../config/yaml-keys.ts';
import { EXIT, type ExitCode } from './command-line.ts';

const LIMIT_MS = 4000;

// The rest may be wrong: the service runs on with what it read before.
const listener = z.looseObject({
  server: z.looseObject({
    host: host().default('127.0.0.1'),
    port: integer(1, 65_535),
    tls: z.looseObject({ client_ca_file: text().optional() }).optional(),
  }),
});

/** Asks the service of this configuration, on this machine, whether its process lives. The exit code is 1, and one line says why, when it does not. */
export async function health(
  file: string,
  environment: Environment,
  messages: { write(text: string): unknown },
): Promise<ExitCode> {
  // Of what concerns others nothing needs to be set here.
  const lenient = new Proxy(environment, { get: (set, name) => set[String(name)] ?? '' });
  const { value, problems } = readYamlFile(file, listener, lenient);
  try {
    if (value === undefined) throw new Error(problems.join('; '));
    await ask(value.server);
    return EXIT.done;
  } catch (error) {
    messages.write(`session-control: ${isNativeError(error) ? error.message : String(error)}\n`);
    return EXIT.trouble;
  }
}

/** Where one listens that listens everywhere. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

async function ask({ host, port, tls }: z.output<typeof listener>['server']): Promise<void> {
  const options = {
    host: LOOPBACK[host] ?? host,
    port,
    path: '/healthz',
    // It is this machine, and what is asked is no secret.
    rejectUnauthorized: false,
    signal: AbortSignal.timeout(LIMIT_MS),
  };
  const asking = tls === undefined ? requestPlain(options) : requestTls(options);
  await new Promise<void>((resolve, reject) => {
    asking.on('error', reject);
    asking.on('response', ({ statusCode }: IncomingMessage) => {
      if (statusCode === 200) resolve();
      else reject(new Error(`/healthz answered ${String(statusCode)}`));
    });
    // Who must present a certificate gets no answer without one; that the process shook hands is enough.
    if (tls?.client_ca_file !== undefined) {
      asking.on('socket', (socket) => (socket as TLSSocket).once('secureConnect', resolve));
    }
    asking.end();
  }).finally(() => asking.destroy());
}
