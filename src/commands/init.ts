import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
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

/** A stream for text. */
interface Output {
  write(text: string): unknown;
}

/** The folder of the package. */
const HOME = new URL('../../', import.meta.url);
/** The files of deploy/account/, in the order of the output. */
const FLAVOURS = ['mysql', 'mariadb', 'older', 'tidb', 'rds-kill'];
/** The folder for the audit file, in the folder of the configuration. */
const AUDIT_FOLDER = 'audit';
const AUDIT_FOLDER_MODE = 0o750;
/** Only the owner and the group can read the files, because operators write passwords into them. */
const MODE = 0o640;

/**
 * Writes service.yaml and nodes.yaml into the folder, makes a folder for the audit file, and prints the new token, the SQL for the control account and the next steps.
 * `command` starts this program in the printed examples. If a file exists or cannot be written, changes nothing and returns exit code 73.
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
    const why = code === 'EEXIST' ? 'exists already' : `cannot be written (${code})`;
    messages.write(`session-control: ${path} ${why}. Nothing was written.\n`);
    return EXIT.cannotCreate;
  }
  output.write(nextSteps(folder, command, token, password));
  return EXIT.done;
}

function serviceYaml(tokenHash: string): string {
  return adapted('service.yaml', [
    ['  host: ${LISTEN_HOST}', '  # host: 127.0.0.1'],
    [
      '# `trial-token`: for trials only, since everybody can read it here.',
      '# Written by `session-control init`, which showed the token once.',
    ],
    [/(?<=sha256: )[0-9a-f]{64}/, tokenHash],
    ['# audit:\n#   file: /var/log/session-control/', `audit:\n  file: ${AUDIT_FOLDER}/`],
    ['#   require_reason:', '  # require_reason:'],
    ['#   statements:', '  # statements:'],
  ]);
}

function nodesYaml(): string {
  return adapted('nodes.yaml', [
    ['# The service `mysql` of docker-compose.yml.', '# The three ids are those of the URL.'],
    ['    name: shop-mysql', '    # name: orders-primary'],
    ['${MYSQL_HOST}', '${NODE_HOST}'],
    [/\n {2}# The service `mariadb`[^]*$/, ''],
  ]);
}

/** Returns the example of this name. Replaces the text in the places that are for trials. */
function adapted(name: string, places: readonly (readonly [string | RegExp, string])[]): string {
  let text = readFileSync(new URL(`config/${name}`, HOME), 'utf8');
  for (const [place, instead] of places) {
    const next = text.replace(place, () => instead);
    if (next === text) throw new Error(`config/${name} does not hold ${String(place)}`);
    text = next;
  }
  return text;
}

function writeAll(folder: string, files: Readonly<Record<string, string>>): void {
  const created = mkdirSync(folder, { recursive: true });
  const written: string[] = [];
  try {
    for (const [name, text] of Object.entries(files)) {
      const path = join(folder, name);
      // `wx` fails for an existing file, which must not be removed below.
      const file = openSync(path, 'wx', MODE);
      written.push(path);
      try {
        writeFileSync(file, text);
      } finally {
        closeSync(file);
      }
    }
    makeAuditFolder(join(folder, AUDIT_FOLDER));
  } catch (error) {
    for (const path of written) unlinkSync(path);
    if (created !== undefined) rmSync(created, { recursive: true });
    throw error;
  }
}

/** Makes the folder, whatever the umask of the process. A folder that exists keeps its mode. */
function makeAuditFolder(folder: string): void {
  if (mkdirSync(folder, { recursive: true }) !== undefined) chmodSync(folder, AUDIT_FOLDER_MODE);
}

function nextSteps(folder: string, command: string, token: string, password: string): string {
  const file = resolve(folder, 'service.yaml');
  return `Written: ${file} and ${resolve(folder, 'nodes.yaml')}.
Every kill is on record in ${resolve(folder, AUDIT_FOLDER, 'audit.jsonl')}. To move this file,
change the key audit.file: a separate volume is best. The unit for systemd can write only to
/var/log/session-control.

Token for callers of the API. It is shown only once; its SHA-256 is in ${file}:

  ${token}

SQL for the control account. On each node, run the part for its flavour, and replace '%' by the host of
the service. This password is shown only once.

${accountSql(password)}
Variables that the configuration needs. NODE_HOST is the address of your node:

  export NODE_HOST=127.0.0.1
  export NODE_PASSWORD=${password}

Next: check the configuration, then start the service.

  ${command} check --config ${quoted(file)}
  ${command} start --config ${quoted(file)}
`;
}

/** Returns the path in the quotes that a shell needs. */
function quoted(path: string): string {
  return /^[\w/.@+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** Returns the SQL that creates the control account, for each flavour. */
function accountSql(password: string): string {
  return FLAVOURS.map((flavour) =>
    readFileSync(new URL(`deploy/account/${flavour}.sql`, HOME), 'utf8').replace('…', password),
  ).join('\n');
}

/** Returns a random password that meets MySQL's password rules. */
function newPassword(): string {
  // validate_password requires letters of both cases, a digit and a special character.
  return `${randomBytes(24).toString('base64url')}-Aa1`;
}
