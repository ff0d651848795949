import { ServiceError } from '../errors.ts';

/** An action on the sessions of a node, named as in IAM. */
export type Action = (typeof ACTIONS)[number];

const ACTIONS = [
  'gaussdbformysql:instance:listProcesses',
  'gaussdbformysql:instance:deleteProcesses',
  'gaussdbformysql:instance:get',
] as const;

const ALL_ACTIONS = ['*', 'gaussdbformysql:*', 'gaussdb:*'] as const;

/** The names that the configuration can grant: the actions, their aliases, and the wildcards. */
export const GRANTABLE_ACTIONS = [
  ...ALL_ACTIONS,
  ...ACTIONS,
  'gaussdb:instance:listProcesses',
  'gaussdb:instance:deleteProcesses',
  'gaussdb:instance:list',
] as const;

export type GrantedAction = (typeof GRANTABLE_ACTIONS)[number];

const ALIASES: Readonly<Record<Action, GrantedAction>> = {
  'gaussdbformysql:instance:listProcesses': 'gaussdb:instance:listProcesses',
  'gaussdbformysql:instance:deleteProcesses': 'gaussdb:instance:deleteProcesses',
  'gaussdbformysql:instance:get': 'gaussdb:instance:list',
};

/** The caller that the credentials prove. */
export interface Caller {
  readonly user: string;
  readonly projectId: string;
  readonly actions: readonly Action[];
  /** The kind of credentials, for the audit: `token`, `IAM token of` with the user's id, `access key` with the key, or two of these. */
  readonly proof: string;
  /** The access key and the signature of a signed request. Only a repetition of that request has the same value. */
  readonly signature?: string | undefined;
}

/** A request as the client sent it, to check its signature. */
export interface RequestOnWire {
  readonly method: string;
  /** The path and the query, not decoded. */
  readonly target: string;
  /** Names and values alternately, in the order of the request. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  /** The client's IPv4 address, or its IPv6 network: a lockout counts bad signatures for each. */
  readonly address: string;
}

/** The credentials of a request. */
export interface Credentials {
  readonly token: string | undefined;
  readonly request: RequestOnWire;
}

/** Finds the caller of a request. `Authenticator` in `identity/authenticator.ts` implements it. */
export interface Identity {
  /**
   * Returns the caller that the credentials prove; a promise only if IAM must validate a token. Throws `unauthenticated` if they prove no
   * caller, `iam_unavailable` if IAM does not answer, `service_token_refused` if IAM refuses the service's own token.
   */
  authenticate(credentials: Credentials): Caller | Promise<Caller>;
}

/** Returns the actions that these grants cover. */
export function grantedActions(granted: readonly GrantedAction[]): readonly Action[] {
  return ACTIONS.filter((action) =>
    [...ALL_ACTIONS, action, ALIASES[action]].some((grant) => granted.includes(grant)),
  );
}

/** Throws `project_denied` if the project is not the caller's, or `action_denied` if the caller lacks the action. */
export function authorize(caller: Caller, projectId: string, action: Action): void {
  if (caller.projectId !== projectId) throw new ServiceError('project_denied');
  if (!caller.actions.includes(action)) {
    throw new ServiceError('action_denied', {
      'en-us': `The caller lacks the permission ${action}.`,
      'zh-cn': `调用者缺少权限${action}。`,
    });
  }
}

/**
 * Returns the error for credentials that prove no caller. The reason is its message in both languages, as at the gateway of the published
 * API.
 */
export function unauthenticated(reason: string): ServiceError {
  return new ServiceError('unauthenticated', { 'en-us': reason, 'zh-cn': reason });
}
