import { request as requestPlain, type IncomingMessage } from 'node:http';
import { request as requestTls } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { isNativeError } from 'node:util/types';
import { z } from 'zod';
import { readYamlFile, type Environment } from '../config/yaml-file.ts';
import { host, integer, text } from '../config/yaml-keys.ts';
import { EXIT, type ExitCode } from './command-line.ts';

const TIMEOUT_MS = 4000;

// Checks no other key: the service still runs if its file has become wrong since the start.
const listener = z.looseObject({
  server: z.looseObject({
    host: host().default('127.0.0.1'),
    port: integer(1, 65_535),
    tls: z.looseObject({ client_ca_file: text().optional() }).optional(),
  }),
});

/** Calls /healthz of the service on this machine. If it does not answer 200, prints the reason in one line and returns exit code 1. */
export async function health(
  file: string,
  environment: Environment,
  messages: { write(text: string): unknown },
): Promise<ExitCode> {
  // Other keys may need variables that a health check does not have.
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

/** The address to call for a listener on all addresses. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

async function ask({ host, port, tls }: z.output<typeof listener>['server']): Promise<void> {
  const options = {
    host: LOOPBACK[host] ?? host,
    port,
    path: '/healthz',
    // The call stays on this machine and carries no secret.
    rejectUnauthorized: false,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  };
  const request = tls === undefined ? requestPlain(options) : requestTls(options);
  await new Promise<void>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', ({ statusCode }: IncomingMessage) => {
      if (statusCode === 200) resolve();
      else reject(new Error(`/healthz answered ${String(statusCode)}`));
    });
    // The check has no client certificate and gets no answer: a TLS handshake proves that the process runs.
    if (tls?.client_ca_file !== undefined) {
      request.on('socket', (socket) => (socket as TLSSocket).once('secureConnect', resolve));
    }
    request.end();
  }).finally(() => request.destroy());
}
