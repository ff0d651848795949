import { ServiceError } from '../errors.ts';

/** What a caller may do with the sessions of a node, in the words of IAM. */
export type Action =
  'gaussdbformysql:instance:deleteProcesses' | 'gaussdbformysql:instance:listProcesses';

/** Everything that can be granted: the two actions, their aliases, and the wildcards. */
export const GRANTABLE_ACTIONS = [
  '*',
  'gaussdbformysql:*',
  'gaussdb:*',
  'gaussdbformysql:instance:deleteProcesses',
  'gaussdbformysql:instance:listProcesses',
  'gaussdb:instance:deleteProcesses',
  'gaussdb:instance:listProcesses',
] as const;

export type GrantedAction = (typeof GRANTABLE_ACTIONS)[number];

/** Who the credentials prove. */
export interface Caller {
  readonly user: string;
  readonly projectId: string;
  readonly actions: readonly GrantedAction[];
}

/** What a request carries to prove who sent it. */
export interface Credentials {
  readonly token: string | undefined;
}

/** Tells who is calling. Implemented in src/identity. */
export interface Identity {
  /** The caller whom the credentials prove; throws `unauthenticated` when they prove nobody. */
  authenticate(credentials: Credentials): Promise<Caller>;
}

/** Throws `project_denied` unless the project is the caller's, then `action_denied` unless they may do the action in it. */
export function authorize(caller: Caller, projectId: string, action: Action): void {
  if (caller.projectId !== projectId) throw new ServiceError('project_denied');
  if (!caller.actions.some((granted) => covers(granted, action))) {
    throw new ServiceError('action_denied', {
      'en-us': `The caller lacks the permission ${action}.`,
      'zh-cn': `调用者缺少权限${action}。`,
    });
  }
}

function covers(granted: GrantedAction, action: Action): boolean {
  const name = granted.replace(/^gaussdb:/, 'gaussdbformysql:');
  return name === '*' || name === 'gaussdbformysql:*' || name === action;
}
