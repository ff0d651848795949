import { usageError } from './failures.ts';
import type { Filter } from './filters.ts';
import type { ListedSession, NamedNode } from './listing.ts';
import type { GivenId } from './session-ids.ts';
import { visible } from './visible.ts';

/** The nodes of the command, and the ids of those whose list could not be read. */
export interface AskedNodes {
  readonly all: readonly NamedNode[];
  readonly unread: readonly string[];
}

/** The sessions to end, and the ids to leave out. */
export interface KillPlan {
  readonly sessions: readonly ListedSession[];
  /** Ids that match no session. They are never sent to the service. */
  readonly missing: readonly MissingId[];
}

/** An id that matches no session, with the cause. */
export interface MissingId {
  readonly node: string;
  readonly id: bigint;
  readonly why: 'not_listed' | 'filtered_out' | 'not_read';
}

/**
 * Picks the listed sessions that have one of the ids and pass the filters; without ids, all sessions that pass.
 * Throws a usage error for an id that fits several nodes, or names a node outside the command.
 */
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
    const node = nodeOf(given, nodes.all).nodeId;
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

/** Returns a key that is unique across nodes. */
function keyOf({ node, id }: Pick<ListedSession, 'node' | 'id'>): string {
  return `${node}/${id}`;
}

/** Returns the node of an id. Throws a usage error for an id that fits several nodes, or names a node outside the command. */
export function nodeOf<T extends NamedNode>({ node, id }: GivenId, nodes: readonly T[]): T {
  if (node !== undefined) {
    const found =
      nodes.find(({ nodeId }) => nodeId === node) ?? nodes.find(({ name }) => name === node);
    if (found !== undefined) return found;
    throw usageError(
      `${visible(node)}/${id} is on a node that the command does not include.`,
      'Add the node with --node.',
    );
  }
  const [only, ...others] = nodes;
  if (only !== undefined && others.length === 0) return only;
  throw usageError(
    `The id ${id} does not say which of ${nodes.length} nodes it belongs to.`,
    'Write NODE/ID, or choose one node with --node.',
  );
}
