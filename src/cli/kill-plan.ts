import { usageError } from './failures.ts';
import type { Filter } from './filters.ts';
import type { ListedSession } from './listing.ts';
import type { GivenId } from './session-ids.ts';

/** The nodes that are asked, and those of them whose list could not be read. */
export interface AskedNodes {
  readonly all: readonly string[];
  readonly unread: readonly string[];
}

/** Whom a kill is about. */
export interface KillPlan {
  readonly sessions: readonly ListedSession[];
  /** Ids that no session has, or only one that the filters leave out: never sent. */
  readonly missing: readonly MissingId[];
}

/** An id that is not killed, and why. */
export interface MissingId {
  readonly node: string;
  readonly id: bigint;
  readonly why: 'not_listed' | 'filtered_out' | 'not_read';
}

/** Picks by ids and filters; without ids, all that pass. Throws a usage error for an id that could be of several nodes. */
export function planKill(
  listed: readonly ListedSession[],
  nodes: AskedNodes,
  ids: readonly GivenId[] | undefined,
  passes: Filter,
): KillPlan {
  if (ids === undefined) return { sessions: listed.filter(passes), missing: [] };
  const byKey = new Map(listed.map((session) => [keyOf(session), session]));
  const sessions = new Map<string, ListedSession>();
  const missing = new Map<string, MissingId>();
  for (const given of ids) {
    const node = nodeOf(given, nodes.all);
    const key = keyOf({ node, id: given.id });
    const session = byKey.get(key);
    if (session !== undefined && passes(session)) sessions.set(key, session);
    else {
      const isUnread = nodes.unread.includes(node);
      const why = session ? 'filtered_out' : isUnread ? 'not_read' : 'not_listed';
      missing.set(key, { node, id: given.id, why });
    }
  }
  return { sessions: [...sessions.values()], missing: [...missing.values()] };
}

/** Of the sessions that were shown, those that a newer list still shows as they were, and those that have changed. */
export function compareWithNewer(
  shown: readonly ListedSession[],
  newer: readonly ListedSession[],
  passes: Filter,
): { readonly same: readonly ListedSession[]; readonly changed: readonly ListedSession[] } {
  const byKey = new Map(newer.map((session) => [keyOf(session), session]));
  const isSame = (session: ListedSession): boolean => {
    const now = byKey.get(keyOf(session));
    return now !== undefined && now.host === session.host && passes(now);
  };
  return {
    same: shown.filter(isSame),
    changed: shown.filter((session) => !isSame(session)),
  };
}

/** What tells sessions of several nodes apart. */
function keyOf({ node, id }: Pick<ListedSession, 'node' | 'id'>): string {
  return `${node}/${id}`;
}

function nodeOf({ node, id }: GivenId, nodes: readonly string[]): string {
  if (node !== undefined) {
    if (nodes.includes(node)) return node;
    throw usageError(`${node}/${id} is on a node that is not asked.`, 'Name it with --node.');
  }
  const [only, ...others] = nodes;
  if (only !== undefined && others.length === 0) return only;
  throw usageError(
    `${id} could be on any of ${nodes.length} nodes.`,
    'Write NODE/ID, or name one --node.',
  );
}
