import { request as httpRequest } from 'node:http';
import { parse, stringify } from 'lossless-json';
import type { ServerKind } from '../server-binaries.ts';
import type { Answer, KillRequest, Outcome, PageRequest } from './history.ts';

/** The token and the ids of the service's configuration. */
export const TOKEN = 'token-of-the-torture';
export const PROJECT = '619d3e78f61b4be68bc5aa0b59edcf7b';
export const INSTANCE = 'a23fb62bd61e4e9e9636fd2225f395bein07';
export const NODES: Readonly<Record<ServerKind, string>> = {
  mariadb: '18663926eacb443d98dc20f8620f28f2no07',
  mysql: '28663926eacb443d98dc20f8620f28f2no07',
};

/** The timeout of a request. */
const TIMEOUT_MS = 20_000;
const ARRAYS: Readonly<Record<Outcome, string>> = {
  killed: 'processes_killed',
  not_found: 'processes_not_found',
  failed: 'processes_failed',
  unknown: 'processes_unknown',
};

/** Sends a request over a new connection. Rejects if no complete JSON answer comes back. */
export async function send(
  origin: string,
  node: ServerKind,
  request: KillRequest | PageRequest,
): Promise<Answer> {
  const path = `/v3/${PROJECT}/instances/${INSTANCE}/nodes/${NODES[node]}/processes`;
  const body = request.method === 'DELETE' ? bodyOf(request) : undefined;
  const sent = httpRequest(`${origin}${path}${queryOf(request)}`, {
    method: request.method,
    agent: false,
    headers: {
      'X-Auth-Token': TOKEN,
      ...(body !== undefined && {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
      }),
      ...(request.method === 'DELETE' && headersOf(request)),
    },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  return await new Promise((resolve, reject) => {
    sent.on('error', reject).on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', reject).on('end', () => {
        const requestId = String(response.headers['x-request-id']);
        try {
          resolve(answerOf(response.statusCode ?? 0, requestId, text));
        } catch {
          reject(new Error(`The answer is not JSON: ${text.slice(0, 200)}`));
        }
      });
    });
    sent.end(body);
  });
}

function bodyOf({ ids, expected }: KillRequest): string {
  return stringify({ processes: ids, ...(expected.length > 0 && { expected }) }) ?? '';
}

function queryOf(request: KillRequest | PageRequest): string {
  if (request.method === 'GET') return `?offset=${request.offset}`;
  return request.isDryRun ? '?dry_run=true' : '';
}

function headersOf({ waitSeconds, isRepresentationWanted, key }: KillRequest): object {
  const preferences = [
    ...(waitSeconds === undefined ? [] : [`wait=${waitSeconds}`]),
    ...(isRepresentationWanted ? ['return=representation'] : []),
  ];
  return {
    ...(preferences.length > 0 && { Prefer: preferences.join(', ') }),
    ...(key !== undefined && { 'Idempotency-Key': key }),
  };
}

function answerOf(status: number, requestId: string, text: string): Answer {
  const parseNumber = (digits: string): bigint => BigInt(digits);
  const body = parse(text, undefined, { parseNumber }) as Record<string, unknown>;
  const arrays = Object.entries(ARRAYS).filter(([, name]) => name in body);
  const { error_code: code, error_msg: message, processes } = body;
  return {
    status,
    requestId,
    ids: Object.fromEntries(arrays.map(([outcome, name]) => [outcome, body[name]])),
    isDryRun: body['dry_run'] === true,
    ...(Array.isArray(processes) && {
      processes: processes.map(({ id, outcome = '' }: { id: bigint; outcome?: string }) => ({
        id,
        outcome,
      })),
    }),
    ...(typeof code === 'string' && { errorCode: code }),
    ...(typeof message === 'string' && { errorMessage: message }),
  };
}
