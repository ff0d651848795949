/** How a command ends, with the numbers of sysexits.h. */
export const EXIT = {
  done: 0,
  trouble: 1,
  usage: 64,
  noInput: 66,
  cannotCreate: 73,
  configuration: 78,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
