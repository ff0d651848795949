import { describe, expect, it } from '@jest/globals';
import { authorize, grantedActions, type GrantedAction } from '../../src/domain/caller.ts';

const LIST = 'gaussdbformysql:instance:listProcesses';
const KILL = 'gaussdbformysql:instance:deleteProcesses';
const GET = 'gaussdbformysql:instance:get';

describe('a grant', () => {
  it.each<[GrantedAction, readonly string[]]>([
    ['*', [LIST, KILL, GET]],
    ['gaussdbformysql:*', [LIST, KILL, GET]],
    ['gaussdb:*', [LIST, KILL, GET]],
    [LIST, [LIST]],
    ['gaussdb:instance:listProcesses', [LIST]],
    [KILL, [KILL]],
    ['gaussdb:instance:deleteProcesses', [KILL]],
    [GET, [GET]],
    ['gaussdb:instance:list', [GET]],
  ])('of %s covers %j', (granted, actions) => {
    expect(grantedActions([granted])).toEqual(actions);
  });

  it('covers an action once, however often it is granted', () => {
    expect(grantedActions([GET, 'gaussdb:instance:list', LIST])).toEqual([LIST, GET]);
  });
});

describe('an action that was not granted', () => {
  it('is named by the error', () => {
    const caller = { user: 'ops', projectId: 'p', actions: grantedActions([LIST]), proof: 'token' };
    expect(() => {
      authorize(caller, 'p', GET);
    }).toThrow(`The caller lacks the permission ${GET}.`);
  });
});
