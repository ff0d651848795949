export { SessionControlClient, type ClientOptions, type ListOptions } from './client.ts';
export { formatDuration, parseDuration } from './durations.ts';
export type { KillOptions } from './kill.ts';
export { SessionControlError, type ErrorFacts, type ErrorKind } from './errors.ts';
export type { HistoryOptions, KilledSession, KillHistory } from './history.ts';
export { requestToken, type IssuedToken, type PasswordLogin } from './keystone.ts';
export type { Blocker, Blockers, LockCause, Wait, WantedLock } from './locks.ts';
export type { CallerFacts, NodeEntry, NodePage, ProjectNodes } from './nodes.ts';
export { matchesOf, PatternError, type Matches, type PatternFault } from './patterns.ts';
export type { Credentials } from './requests.ts';
export type {
  Capabilities,
  NodeAddress,
  Outcome,
  Session,
  SessionGroup,
  SessionSummary,
  Target,
  TerminatedSession,
  Termination,
  Transaction,
} from './session.ts';
export type { SessionDetail } from './session-reads.ts';
export { signedHeaders, type AccessKey, type Signable } from './signing.ts';
export {
  createTransport,
  type HttpAnswer,
  type HttpRequest,
  type TlsOptions,
  type Transport,
} from './transport.ts';
export { escaped, visible } from './visible.ts';
export type { SessionPage } from './wire.ts';
