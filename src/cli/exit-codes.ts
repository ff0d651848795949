/** What the exit code says. Those from 64 on are as in sysexits.h. */
export const EXIT = {
  /** All were killed; a list was shown; a dry run, whomever it found. */
  done: 0,
  /** The service refused the request or failed, and nothing was ended. */
  refused: 1,
  /** Some were not found, or were no longer what was shown. */
  notFound: 3,
  /** Some were not killed, or it is not known, or a node could not be looked at. */
  failed: 4,
  /** The answer to the question was no. */
  declined: 5,
  usage: 64,
  /** The service cannot be reached, or cannot serve now. */
  unreachable: 69,
  /** The output could not be written. */
  unwritten: 74,
  /** 401 or 403. */
  denied: 77,
  /** The configuration file is wrong. */
  configuration: 78,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
