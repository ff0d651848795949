import { readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';

/** The parts of deploy/account/, in the order in which they are printed. */
const FLAVOURS = ['mysql', 'mariadb', 'older', 'tidb', 'rds-kill'];

/** The SQL that makes the control account, for each flavour; `home` is the package's folder. */
export function accountSql(home: URL, password: string): string {
  return FLAVOURS.map((flavour) =>
    readFileSync(new URL(`deploy/account/${flavour}.sql`, home), 'utf8').replace('…', password),
  ).join('\n');
}

/** A password that nobody can guess, and that a node with rules for passwords takes. */
export function newPassword(): string {
  // MySQL's validate_password wants letters of both cases, a digit and something else.
  return `${randomBytes(24).toString('base64url')}-Aa1`;
}
