import { fileURLToPath } from 'node:url';

import type { DatabaseNode } from './database-node.ts';
import { cleanUpOnExit } from './lib/cleanup-on-exit.ts';
import { complaint, run } from './server-binaries.ts';
import { identify } from './server-login.ts';

const FILE = fileURLToPath(new URL('../docker-compose.yml', import.meta.url));
// A project name of our own, because the developer may use the containers and volumes of the file's project.
const PROJECT = 'session-control-throw-away';
// The login of the service `mariadb` in the file.
const LOGIN = {
  host: '127.0.0.1',
  port: 3307,
  rootUser: 'root',
  rootPassword: 'root-for-trials-only',
};

/**
 * Returns the service `mariadb` of docker-compose.yml: the one that runs, else one that it starts with Docker.
 * Resolves to undefined if Docker does not answer or the start fails.
 */
export async function composeNode(say: (line: string) => void): Promise<DatabaseNode | undefined> {
  const running = await identify(LOGIN).catch(() => undefined);
  if (running !== undefined) {
    const { flavour, version } = running;
    return { flavour, version, ...LOGIN, stop: () => Promise.resolve() };
  }
  if (!(await dockerAnswers())) return undefined;
  say('Starting MariaDB with docker compose');
  const cleanup = cleanUpOnExit('docker compose -f "$1" -p "$2" down -v -t 0', FILE, PROJECT);
  try {
    await run('docker', ['compose', '-f', FILE, '-p', PROJECT, 'up', '-d', '--wait', 'mariadb']);
    const { flavour, version } = await identify(LOGIN);
    return { flavour, version, ...LOGIN, stop: () => cleanup.run() };
  } catch (error) {
    say(`docker compose failed: ${complaint(error)}`);
    await cleanup.run();
    return undefined;
  }
}

async function dockerAnswers(): Promise<boolean> {
  const info = run('docker', ['info', '--format', '{{.ServerVersion}}'], { timeout: 5_000 });
  return await info.then(
    () => true,
    () => false,
  );
}
