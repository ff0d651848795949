/** The exit codes. Codes from 64 to 78 have the meaning that sysexits.h gives them. */
export const EXIT = {
  /** All sessions were killed, a list was shown, or a dry run found no failure. */
  done: 0,
  /** The service refused the request or failed, and no session was ended. */
  refused: 1,
  /** Some sessions were not found, or had changed since they were shown. */
  notFound: 3,
  /** Some sessions failed or are unknown, or the list of a node could not be read. */
  failed: 4,
  /** The user answered no. */
  declined: 5,
  usage: 64,
  /** The service cannot be reached, or is busy. */
  unreachable: 69,
  /** The output could not be written. */
  unwritten: 74,
  /** The service answered 401 or 403. */
  denied: 77,
  /** The configuration file is wrong. */
  configuration: 78,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
