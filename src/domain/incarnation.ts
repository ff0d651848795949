/** One run of a node's server process, as a connection found it. */
export interface Incarnation {
  /** `server_uuid`, or `hostname:port:server_id`: which server it is, the same after a restart. */
  readonly server: string;
  /** When it started, in whole seconds of the node's own clock. */
  readonly startedAt: number;
  /** In milliseconds of `performance.now()`: it had begun by then at the latest. */
  readonly begunBy: number;
}

interface Sighting {
  /** The session id of the control connection. */
  readonly id: bigint;
  readonly incarnation: Incarnation;
}

/** Whether what a later connection reached is surely the same incarnation that an earlier one had reached; in doubt it is not. */
export function isSameIncarnation(earlier: Sighting, later: Sighting): boolean {
  return isSameRun(earlier.incarnation, later.incarnation) && later.id > earlier.id;
}

/** The same without the ids, for what need not be sure: the start is told in whole seconds and can be off by one. */
export function isSameRun(one: Incarnation, other: Incarnation): boolean {
  return one.server === other.server && Math.abs(one.startedAt - other.startedAt) <= 1;
}
