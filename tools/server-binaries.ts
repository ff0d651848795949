import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isNativeError } from 'node:util/types';
import { promisify } from 'node:util';

/** The database servers that the tools start. */
export type ServerKind = 'mariadb' | 'mysql';

/** The programs of a database server: the installer fills the data directory. */
export interface ServerBinaries {
  readonly installer: string;
  readonly server: string;
}

/** Runs a program to its end. Rejects with its stderr if the program fails. */
export const run = promisify(execFile);

/** Resolves to the programs of a server that is installed on this machine, or undefined. */
export async function installedBinaries(kind: ServerKind): Promise<ServerBinaries | undefined> {
  if (kind === 'mysql') {
    const server = await serverCalled('mysqld', kind);
    return server === undefined ? undefined : { installer: server, server };
  }
  const server = (await serverCalled('mariadbd', kind)) ?? (await serverCalled('mysqld', kind));
  const [installer] = [...executables('mariadb-install-db'), ...executables('mysql_install_db')];
  return server === undefined || installer === undefined ? undefined : { installer, server };
}

/**
 * Resolves to the programs of a server. Fetches MySQL from Debian into the temporary directory if it
 * is not installed. Rejects with a sentence if there are no programs.
 */
export async function obtainBinaries(
  kind: ServerKind,
  say: (line: string) => void,
): Promise<ServerBinaries> {
  const installed = await installedBinaries(kind);
  if (installed !== undefined) return installed;
  if (kind === 'mariadb') throw new Error('MariaDB is not installed on this machine.');
  const directory = resolve(tmpdir(), `session-control-mysql-${String(process.getuid?.())}`);
  const server = join(directory, 'tree', 'mysqld');
  const script = fileURLToPath(new URL('get-mysql.sh', import.meta.url));
  if (!isExecutable(server)) say(`Fetching MySQL from Debian into ${directory}`);
  try {
    await run('bash', [script, directory], { timeout: 600_000 });
  } catch (error) {
    throw new Error(complaint(error), { cause: error });
  }
  return { installer: server, server };
}

/** Returns the last line that a failed program wrote to stderr, else the message of the error. */
export function complaint(error: unknown): string {
  if (!isNativeError(error)) return String(error);
  const written = 'stderr' in error ? String(error.stderr).trim() : '';
  // If Node tried several addresses, the error has a code but no message.
  const code = 'code' in error ? String(error.code) : error.name;
  return written.split('\n').at(-1) || error.message || code;
}

/** Returns the paths of the executables with this name, on the PATH or in the usual folders of servers. */
export function executables(name: string): string[] {
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '');
  const directories = new Set([...path, '/usr/sbin', '/usr/local/sbin', '/usr/libexec']);
  return [...directories].map((directory) => resolve(directory, name)).filter(isExecutable);
}

// The name does not prove the kind: Debian's mysqld can be a link to mariadbd.
async function serverCalled(name: string, kind: ServerKind): Promise<string | undefined> {
  for (const path of executables(name)) {
    const { stdout } = await run(path, ['--version']).catch(() => ({ stdout: '' }));
    if (stdout !== '' && stdout.includes('MariaDB') === (kind === 'mariadb')) return path;
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
