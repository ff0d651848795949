import { groupBy } from './group.ts';
import type { Thread } from './history.ts';
import { isDeath } from './check-deaths.ts';
import type { Sighting, View, Violation } from './view.ts';
import { isInternal } from './observer.ts';

/** Checks that each internal thread in a process list is also in the next list of the same incarnation, and not killed. */
export function checkThreads(view: View): Violation[] {
  const complete = view.sightings.filter(({ at, run }) => at < run.endsAt);
  const lost = [...groupBy(complete, ({ run }) => run).values()].flatMap((sightings) =>
    sightings.flatMap((sighting, index) => missing(sightings[index - 1], sighting)),
  );
  const replicas = view.sessions.filter(
    (session) => session.role === 'replica' && isDeath(session),
  );
  return [
    ...lost,
    ...replicas.map(({ node, id, session }) => ({
      rule: 'an internal thread died' as const,
      sentence: `The binlog dump ${id} on ${node} was ended.`,
      sessions: [session],
      node,
      id,
    })),
  ];
}

function missing(before: Sighting | undefined, { run, threads }: Sighting): Violation[] {
  const alive = new Set(threads.filter(isAlive).map(({ id }) => id));
  return (before?.threads ?? [])
    .filter((thread) => isInternal(thread) && isAlive(thread) && !alive.has(thread.id))
    .map(({ id, user, host, command }) => ({
      rule: 'an internal thread died',
      sentence: `The thread ${id} (${user}@${host}, ${command}) of incarnation ${run.number} of ${run.node} was ended.`,
      node: run.node,
      id,
    }));
}

function isAlive({ command }: Thread): boolean {
  return command !== 'Killed';
}
