import { once } from 'node:events';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { obtainBinaries, type ServerKind } from './server-binaries.ts';
import { ServerHome } from './server-home.ts';

const DEADLINE_MS = 120_000;

/**
 * Makes a data directory that later servers of this kind copy, in this process and its child processes.
 * A copy saves each server seconds of processor time. Resolves to a function that removes the directory.
 * Rejects with a sentence if the directory cannot be made.
 */
export async function prepareDataDirectory(kind: ServerKind): Promise<() => Promise<void>> {
  const { installer } = await obtainBinaries(kind, () => undefined);
  const home = new ServerHome();
  await makeDataDirectory(kind, installer, home);
  // The file holds the server's UUID. Without it, each copy makes a new UUID.
  rmSync(`${home.path('data')}/auto.cnf`, { force: true });
  process.env[variable(kind)] = home.path('data');
  return () => home.remove();
}

/** Fills the data directory in the home of a server. Rejects with a sentence and the last log lines if that fails. */
export async function makeDataDirectory(
  kind: ServerKind,
  installer: string,
  home: ServerHome,
): Promise<void> {
  const prepared = process.env[variable(kind)];
  const [program, words] =
    prepared === undefined
      ? [installer, installation(kind, home)]
      : ['cp', ['-a', prepared, home.path('data')]];
  const child = home.launch(program, words, DEADLINE_MS);
  await once(child, 'exit');
  if (child.exitCode !== 0) throw home.failure(`${program} could not make a data directory`);
}

function variable(kind: ServerKind): string {
  return `PREPARED_DATA_OF_${kind.toUpperCase()}`;
}

function installation(kind: ServerKind, home: ServerHome): string[] {
  const accounts = home.path('accounts.sql');
  const sql = `CREATE USER root@'127.0.0.1'; GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;`;
  writeFileSync(accounts, sql);
  chmodSync(accounts, 0o644);
  const options = {
    mariadb: ['--auth-root-authentication-method=normal', '--skip-test-db'],
    mysql: ['--initialize-insecure', `--init-file=${accounts}`, '--secure-file-priv=NULL'],
  };
  return ['--no-defaults', `--datadir=${home.path('data')}`, ...options[kind]];
}
