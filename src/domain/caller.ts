import { ServiceError } from '../errors.ts';

/** What a caller may do with the sessions of a node, in the words of IAM. */
export type Action = (typeof ACTIONS)[number];

const ACTIONS = [
  'gaussdbformysql:instance:deleteProcesses',
  'gaussdbformysql:instance:listProcesses',
] as const;

/** Everything that can be granted: the two actions, their aliases, and the wildcards. */
export const GRANTABLE_ACTIONS = [
  '*',
  'gaussdbformysql:*',
  'gaussdb:*',
  ...ACTIONS,
  'gaussdb:instance:deleteProcesses',
  'gaussdb:instance:listProcesses',
] as const;

export type GrantedAction = (typeof GRANTABLE_ACTIONS)[number];

/** The caller that the credentials prove. */
export interface Caller {
  readonly user: string;
  readonly projectId: string;
  readonly actions: readonly Action[];
  /** By what, for the record: `token`, `IAM token of` the user's id, `access key AK…`, or two of them. */
  readonly proof: string;
  /** Of a signed request: the access key and the signature, the same only when the very same request comes again. */
  readonly signature?: string | undefined;
}

/** A request as it came, for signatures over it. */
export interface RequestOnWire {
  readonly method: string;
  /** Path and query, undecoded. */
  readonly target: string;
  /** Names and values by turns, in their order. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  /** What counts as one client for lock-outs: its IPv4 address, or its IPv6 network. */
  readonly address: string;
}

/** The credentials of a request. */
export interface Credentials {
  readonly token: string | undefined;
  readonly request: RequestOnWire;
}

/** Finds the caller of a request. `identity/authenticator.ts` fills it. */
export interface Identity {
  /**
   * Returns the caller that the credentials prove, as a promise only if IAM is asked. Throws `unauthenticated` if they prove none,
   * `iam_unavailable` or `service_token_refused` if IAM does not answer.
   */
  authenticate(credentials: Credentials): Caller | Promise<Caller>;
}

/** The actions that this grant covers. */
export function grantedActions(granted: readonly GrantedAction[]): readonly Action[] {
  return ACTIONS.filter((action) => granted.some((grant) => covers(grant, action)));
}

/** Throws `project_denied` unless the project is the caller's, then `action_denied` unless they may do the action in it. */
export function authorize(caller: Caller, projectId: string, action: Action): void {
  if (caller.projectId !== projectId) throw new ServiceError('project_denied');
  if (!caller.actions.includes(action)) {
    throw new ServiceError('action_denied', {
      'en-us': `The caller lacks the permission ${action}.`,
      'zh-cn': `调用者缺少权限${action}。`,
    });
  }
}

/** Returns the error for credentials that prove no caller. Its words are those of the gateway, the same in both languages. */
export function unauthenticated(reason: string): ServiceError {
  return new ServiceError('unauthenticated', { 'en-us': reason, 'zh-cn': reason });
}

function covers(granted: GrantedAction, action: Action): boolean {
  const name = granted.replace(/^gaussdb:/, 'gaussdbformysql:');
  return name === '*' || name === 'gaussdbformysql:*' || name === action;
}
