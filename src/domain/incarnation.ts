/** One run of a node's server process, as a connection found it. */
export interface Incarnation {
  /** `server_uuid`, or `hostname:port:server_id`: which server it is, the same after a restart. */
  readonly server: string;
  /** When it started, in whole seconds of the node's own clock, which can step. */
  readonly startedAt: number;
  /** The same number for connections that are proven to have reached the same run. */
  readonly run: number;
  /** In milliseconds of `performance.now()`: it had begun by then at the latest. */
  readonly begunBy: number;
  /** When the connection had found it, in the same milliseconds. */
  readonly seenAt: number;
}

interface Sighting {
  /** The session id of the control connection. */
  readonly id: bigint;
  readonly incarnation: Incarnation;
}

/**
 * Whether what a connection reaches is surely the same incarnation that one used before it had reached, still at `usedAt`, in milliseconds of
 * `performance.now()`; in doubt it is not. Ids grow within a run. One that was open before `usedAt` is of it too: no connection outlasts its server
 * process, and of one server there is one at a time.
 */
export function isSameIncarnation(
  earlier: Sighting & { readonly usedAt: number },
  later: Sighting,
): boolean {
  const isOfIt = later.id > earlier.id || later.incarnation.seenAt < earlier.usedAt;
  return isOfIt && isSameRun(earlier.incarnation, later.incarnation);
}

/** Returns whether two connections are proven to have reached the same run. */
export function isSameRun(one: Incarnation, other: Incarnation): boolean {
  return one.server === other.server && one.run === other.run;
}
