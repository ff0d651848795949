import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { EXIT, type ExitCode } from './command-line.ts';

/** Where text goes. */
interface Output {
  write(text: string): unknown;
}

/** The package's folder. */
const HOME = new URL('../../', import.meta.url);
/** The parts of deploy/account/, in the order in which they are printed. */
const FLAVOURS = ['mysql', 'mariadb', 'older', 'tidb', 'rds-kill'];
/** There will be passwords in them. */
const MODE = 0o640;

/**
 * Writes service.yaml and nodes.yaml into the folder, and tells the new token, the SQL for the control account and what comes next.
 * `command` is how this program is called. When a file is there already or cannot be written, everything is as it was and the exit code is 73.
 */
export function init(folder: string, command: string, output: Output, messages: Output): ExitCode {
  const [token, password] = [randomBytes(32).toString('hex'), newPassword()];
  const files = {
    'service.yaml': serviceYaml(createHash('sha256').update(token).digest('hex')),
    'nodes.yaml': nodesYaml(),
  };
  try {
    writeAll(folder, files);
  } catch (error) {
    const { code = 'unknown error', path = folder } = error as NodeJS.ErrnoException;
    const why = code === 'EEXIST' ? 'is there already' : `cannot be written (${code})`;
    messages.write(`session-control: ${path} ${why}. Nothing was written.\n`);
    return EXIT.cannotCreate;
  }
  output.write(told(folder, command, token, password));
  return EXIT.done;
}

function serviceYaml(tokenHash: string): string {
  return fitted('service.yaml', [
    ['  host: ${LISTEN_HOST}', '  # host: 127.0.0.1'],
    [
      '# `trial-token`: for trials only, since everybody can read it here.',
      '# Made by `session-control init`, which showed the token once.',
    ],
    [/(?<=sha256: )[0-9a-f]{64}/, tokenHash],
  ]);
}

function nodesYaml(): string {
  return fitted('nodes.yaml', [
    ['# The service `mysql` of docker-compose.yml.', '# The three ids are those of the URL.'],
    ['${MYSQL_HOST}', '${NODE_HOST}'],
    [/\n {2}# The service `mariadb`[^]*$/, ''],
  ]);
}

/** The example of this name, in which these places are for trials. */
function fitted(name: string, places: readonly (readonly [string | RegExp, string])[]): string {
  let text = readFileSync(new URL(`config/${name}`, HOME), 'utf8');
  for (const [place, instead] of places) {
    const next = text.replace(place, () => instead);
    if (next === text) throw new Error(`config/${name} does not hold ${String(place)}`);
    text = next;
  }
  return text;
}

function writeAll(folder: string, files: Readonly<Record<string, string>>): void {
  const made = mkdirSync(folder, { recursive: true });
  const begun: string[] = [];
  try {
    for (const [name, text] of Object.entries(files)) {
      const path = join(folder, name);
      // Opened first: a file that is there already is not ours to remove.
      const file = openSync(path, 'wx', MODE);
      begun.push(path);
      try {
        writeFileSync(file, text);
      } finally {
        closeSync(file);
      }
    }
  } catch (error) {
    for (const path of begun) unlinkSync(path);
    if (made !== undefined) rmSync(made, { recursive: true });
    throw error;
  }
}

function told(folder: string, command: string, token: string, password: string): string {
  const file = resolve(folder, 'service.yaml');
  return `Written: ${file} and ${resolve(folder, 'nodes.yaml')}.

A token for callers of the API. It is shown only here; its SHA-256 is in ${file}:

  ${token}

The SQL for the control account: run the part for a node's flavour on it, and narrow '%' to where the
service runs. The password is shown only here.

${accountSql(password)}
What the two files take from the environment, with your node's address:

  export NODE_HOST=127.0.0.1
  export NODE_PASSWORD=${password}

What comes next: try it, and start it.

  ${command} check --config ${quoted(file)}
  ${command} start --config ${quoted(file)}
`;
}

/** For a shell. */
function quoted(path: string): string {
  return /^[\w/.@+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** The SQL that makes the control account, for each flavour. */
function accountSql(password: string): string {
  return FLAVOURS.map((flavour) =>
    readFileSync(new URL(`deploy/account/${flavour}.sql`, HOME), 'utf8').replace('…', password),
  ).join('\n');
}

/** A password that nobody can guess, and that a node with rules for passwords takes. */
function newPassword(): string {
  // MySQL's validate_password wants letters of both cases, a digit and something else.
  return `${randomBytes(24).toString('base64url')}-Aa1`;
}
