/** The modes that keep one mode waiting: granted to another owner, or requested by another owner whose request has priority. */
interface Conflicts {
  readonly granted: readonly string[];
  readonly pending: readonly string[];
}

/** The short names that the sources of the servers use, with the names that `metadata_locks` shows. */
const MODES: Readonly<Record<string, string>> = {
  IX: 'INTENTION_EXCLUSIVE',
  S: 'SHARED',
  SH: 'SHARED_HIGH_PRIO',
  SR: 'SHARED_READ',
  SW: 'SHARED_WRITE',
  SWLP: 'SHARED_WRITE_LOW_PRIO',
  SU: 'SHARED_UPGRADABLE',
  SRO: 'SHARED_READ_ONLY',
  SNW: 'SHARED_NO_WRITE',
  SNRW: 'SHARED_NO_READ_WRITE',
  X: 'EXCLUSIVE',
  S0: 'BACKUP_START',
  S1: 'BACKUP_FLUSH',
  S2: 'BACKUP_WAIT_FLUSH',
  S3: 'BACKUP_WAIT_DDL',
  S4: 'BACKUP_WAIT_COMMIT',
  F1: 'BACKUP_FTWRL1',
  F2: 'BACKUP_FTWRL2',
  D: 'BACKUP_DML',
  TD: 'BACKUP_TRANS_DML',
  SD: 'BACKUP_SYS_DML',
  DD: 'BACKUP_DDL',
  BL: 'BACKUP_BLOCK_DDL',
  AC: 'BACKUP_ALTER_COPY',
  C: 'BACKUP_COMMIT',
};

/**
 * The modes that each mode waits for: first granted locks, then pending requests. Source: the matrices in `sql/mdl.cc` of MySQL 8.0 and
 * MariaDB 10.5 and newer. The tables for objects, such as TABLE, and for scopes, such as GLOBAL, SCHEMA, COMMIT and BACKUP LOCK, agree
 * where they share modes. So the mode alone decides. Only MariaDB's BACKUP has the modes from S0 on. SWLP is MySQL's alone.
 */
const WAITS_FOR: Readonly<Record<string, readonly [granted: string, pending: string]>> = {
  IX: ['S X', 'S X'],
  S: ['IX X', 'X'],
  SH: ['X', ''],
  SR: ['SNRW X', 'SNRW X'],
  SW: ['SRO SNW SNRW X', 'SNW SNRW X'],
  SWLP: ['SRO SNW SNRW X', 'SRO SNW SNRW X'],
  SU: ['SU SNW SNRW X', 'X'],
  SRO: ['SW SWLP SNRW X', 'SW SNRW X'],
  SNW: ['SW SWLP SU SNW SNRW X', 'X'],
  SNRW: ['SR SW SWLP SU SRO SNW SNRW X', 'X'],
  X: ['IX S SH SR SW SWLP SU SRO SNW SNRW X', ''],
  S0: ['S0 S1 S2 S3 S4 BL', 'S1 S2 S3 S4 BL'],
  S1: ['S0', ''],
  S2: ['S0 D', ''],
  S3: ['S0 D DD', ''],
  S4: ['S0 D SD DD C', ''],
  F1: ['D TD SD DD AC', ''],
  F2: ['D TD SD DD AC C', ''],
  D: ['S1 S2 S3 S4 F1 F2', 'S1 S2 S3 S4 F1 F2'],
  TD: ['F1 F2', 'F1 F2'],
  SD: ['S4 F1 F2', 'S4 F1 F2'],
  DD: ['S3 S4 F1 F2 BL', 'S3 S4 F1 F2 BL'],
  BL: ['S0 S1 S2 S3 S4 DD BL', 'S0'],
  AC: ['F1 F2', 'F1 F2'],
  C: ['S4 F2', 'S4 F2'],
};

const CONFLICTS: ReadonlyMap<string, Conflicts> = new Map(
  Object.entries(WAITS_FOR).map(([short, [granted, pending]]) => [
    nameOf(short),
    { granted: namesOf(granted), pending: namesOf(pending) },
  ]),
);

const NONE: Conflicts = { granted: [], pending: [] };

/** Returns the modes that keep a request of this mode waiting; none for a mode that no server is known to have. */
export function conflictsOf(mode: string): Conflicts {
  return CONFLICTS.get(mode) ?? NONE;
}

/**
 * The modes that a statement raises while it runs. MariaDB shows the first mode of such a lock until the lock ends (10.11, measured). A
 * request that conflicts with no other lock waits for the owner of such a lock.
 */
export const RAISED_MODES: readonly string[] = namesOf('SU SNW SNRW F1 S0 S1 S2 S3');

function nameOf(short: string): string {
  return MODES[short] ?? short;
}

function namesOf(shorts: string): readonly string[] {
  return shorts === '' ? [] : shorts.split(' ').map(nameOf);
}
