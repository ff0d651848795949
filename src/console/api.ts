import { createContext, useContext } from 'react';
import {
  createTransport,
  SessionControlClient,
  SessionControlError,
  type Transport,
} from '../client/index.ts';
import { ReadBudget } from './budget.ts';

/** The project and the token of the person. */
export interface Access {
  readonly projectId: string;
  readonly token: string;
}

/** The calls of the service for one access. */
export interface Api {
  readonly projectId: string;
  /** Part of each key of the cache, so that a token never sees the responses to an earlier token. */
  readonly generation: number;
  readonly client: SessionControlClient;
  /** Sends each request once. If no response comes, the page shows that and sends the request again. */
  readonly killer: SessionControlClient;
  readonly budget: ReadBudget;
}

/** Before the service has reported its limit, the page assumes a small one. */
const ASSUMED_REQUESTS_PER_MINUTE = 240;
const STORED = 'session-control';
let generations = 0;

const ApiContext = createContext<Api | undefined>(undefined);

/** Gives the components inside it the calls of the service. */
export const ApiProvider = ApiContext.Provider;

/** Returns the calls of the service. Throws outside an `ApiProvider`. */
export function useApi(): Api {
  const api = useContext(ApiContext);
  if (api === undefined) throw new Error('There is no access.');
  return api;
}

/** Creates the calls for an access. Calls `onRefused` if the service refuses the token; later requests then fail without being sent. */
export function createApi(
  { projectId, token }: Access,
  language: 'en-us' | 'zh-cn',
  onRefused: (generation: number) => void,
): Api {
  generations += 1;
  const generation = generations;
  const budget = new ReadBudget(ASSUMED_REQUESTS_PER_MINUTE);
  let refusal: SessionControlError | undefined;
  // The build replaces this transport with the one over `fetch`.
  const transport = createTransport();
  const guarded: Transport = async (request) => {
    if (refusal !== undefined) throw refusal;
    const answer = await transport(request);
    if (answer.status === 401) {
      refusal = new SessionControlError('The token is not accepted.', {
        kind: 'denied',
        status: 401,
        mayHaveArrived: false,
      });
      onRefused(generation);
    }
    return answer;
  };
  const settings = {
    endpoint: new URL('.', document.baseURI).href,
    credentials: { token },
    language,
  };
  return {
    projectId,
    generation,
    client: new SessionControlClient({ ...settings, transport: budget.limit(guarded) }),
    killer: new SessionControlClient({ ...settings, transport: guarded, retries: 0 }),
    budget,
  };
}

/** Returns the access that the person let the tab keep. */
export function storedAccess(): Access | undefined {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORED) ?? '') as Partial<Access>;
    const { projectId, token } = stored;
    return typeof projectId === 'string' && typeof token === 'string'
      ? { projectId, token }
      : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps the access until the tab is closed; undefined removes it. */
export function storeAccess(access: Access | undefined): void {
  try {
    if (access === undefined) sessionStorage.removeItem(STORED);
    else sessionStorage.setItem(STORED, JSON.stringify(access));
  } catch {
    // A browser can switch the storage off: then the page keeps the access in memory only.
  }
}
