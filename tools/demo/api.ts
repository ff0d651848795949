import {
  createTransport,
  SessionControlClient,
  type HttpAnswer,
  type HttpRequest,
  type NodeAddress,
  type Session,
  type Termination,
} from '../../src/client/index.ts';

/** A request with the response of the service. */
export interface Exchange {
  readonly request: HttpRequest;
  readonly answer: HttpAnswer;
  readonly milliseconds: number;
}

/** The client library of this project, which also returns the first exchange of each call. */
export class Api {
  readonly #client: SessionControlClient;
  readonly #node: NodeAddress;
  #exchanges: Exchange[] = [];

  constructor(endpoint: string, token: string, node: NodeAddress) {
    const transport = createTransport();
    this.#node = node;
    this.#client = new SessionControlClient({
      endpoint,
      credentials: { token },
      retries: 0,
      transport: async (request) => {
        const begun = performance.now();
        const answer = await transport(request);
        this.#exchanges.push({ request, answer, milliseconds: performance.now() - begun });
        return answer;
      },
    });
  }

  /** Lists all user sessions of the node. Rejects with a SessionControlError. */
  async list(): Promise<{ sessions: Session[]; exchange: Exchange }> {
    this.#exchanges = [];
    const sessions = await this.#client.list(this.#node);
    return { sessions, exchange: this.#first() };
  }

  /** Ends the sessions with these ids. Rejects with a SessionControlError. */
  async kill(ids: readonly bigint[]): Promise<{ termination: Termination; exchange: Exchange }> {
    this.#exchanges = [];
    const termination = await this.#client.kill(this.#node, ids);
    return { termination, exchange: this.#first() };
  }

  #first(): Exchange {
    const [exchange] = this.#exchanges;
    if (exchange === undefined) throw new Error('No request was sent to the service.');
    return exchange;
  }
}

/** Formats a request as a curl command. The values must not hold quotes. */
export function curlOf({ method, url, headers, body }: HttpRequest): string {
  const options = Object.entries(headers).map(([name, value]) => `-H '${name}: ${value}'`);
  const parts = [
    `curl ${[...(method === 'GET' ? [] : [`-X ${method}`]), ...options].join(' ')}`,
    ...(body === undefined ? [] : [`-d '${body}'`]),
    `'${url.href}'`,
  ];
  return parts.join(' \\\n  ');
}
