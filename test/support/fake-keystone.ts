import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { nodeKey } from './ids.ts';

/** A token that the fake IAM knows. */
export interface KnownToken {
  readonly user?: string;
  readonly userId?: string;
  readonly projectId?: string | undefined;
  readonly roles?: readonly string[];
  readonly expiresAt?: Date;
}

/** A fake IAM that answers GET /v3/auth/tokens like a recorded Keystone 22, with faults on demand. */
export class FakeKeystone {
  readonly tokens = new Map<string, KnownToken>();
  /** The tokens of services, which may validate the tokens of others. */
  readonly services = new Set<string>();
  /** The number of look-ups. */
  lookups = 0;
  /** The number of connections. */
  connections = 0;
  /** Called instead of an answer, with the number of the look-up. */
  fault: ((res: ServerResponse, lookup: number) => void) | undefined;
  readonly #server: Server;

  constructor() {
    this.#server = createServer({ maxHeaderSize: 262_144 }, (req, res) => {
      this.#answer(req, res);
    });
    this.#server.on('connection', () => (this.connections += 1));
  }

  async start(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #answer(req: IncomingMessage, res: ServerResponse): void {
    this.lookups += 1;
    if (this.fault !== undefined) {
      this.fault(res, this.lookups);
      return;
    }
    const url = new URL(req.url ?? '', this.endpoint);
    if (url.pathname === '/v3') {
      send(res, 200, { version: { id: 'v3.14', status: 'stable' } });
      return;
    }
    if (
      req.method !== 'GET' ||
      url.pathname !== '/v3/auth/tokens' ||
      !url.searchParams.has('nocatalog')
    ) {
      send(res, 404, { error: { code: 404, title: 'Not Found' } });
      return;
    }
    const [asking, subject] = [req.headers['x-auth-token'], req.headers['x-subject-token']];
    if (!this.services.has(String(asking)) && !this.tokens.has(String(asking))) {
      send(res, 401, { error: { code: 401, title: 'Unauthorized' } });
      return;
    }
    const token = this.tokens.get(String(subject));
    if (!this.services.has(String(asking)) && asking !== subject) {
      send(res, 403, { error: { code: 403, title: 'Forbidden' } });
    } else if (token === undefined || (token.expiresAt ?? new Date(8.64e15)) <= new Date()) {
      send(res, 404, { error: { code: 404, title: 'Not Found' } });
    } else {
      send(res, 200, { token: describe(token) });
    }
  }
}

function describe({
  user = 'bob',
  userId = `id-of-${user}`,
  roles = ['member'],
  expiresAt,
  ...token
}: KnownToken): object {
  const projectId = 'projectId' in token ? token.projectId : nodeKey.projectId;
  const domain = { id: 'default', name: 'Default' };
  return {
    methods: ['password'],
    user: { domain, id: userId, name: user, password_expires_at: null },
    audit_ids: ['521wqQrzRr-JuHyvSQsGdg'],
    expires_at: (expiresAt ?? new Date(Date.now() + 3_600_000)).toISOString().replace('Z', '000Z'),
    issued_at: new Date().toISOString(),
    ...(projectId !== undefined && { project: { domain, id: projectId, name: 'shop' } }),
    is_domain: false,
    roles: roles.map((name) => ({ id: `id-of-${name}`, name })),
  };
}

function send(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'Content-Type': 'application/json', Vary: 'X-Auth-Token' });
  res.end(JSON.stringify(body));
}
