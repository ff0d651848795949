import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RowDataPacket } from 'mysql2/promise';
import { whyNoProgram } from '../../tools/program.ts';
import { PACKAGE } from '../support/built-package.ts';
import { openSession, runUnwatched, type ClientSession } from '../support/client-session.ts';
import { commandsIn, documents } from '../support/documents.ts';
import { nodeKey, processesPath } from '../support/ids.ts';
import { asRoot, servers, type Server } from '../support/server.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/until.ts';
import { Workshop } from '../support/workshop.ts';
import { ELSEWHERE } from './not-run-here.ts';

const [server] = servers as [Server];
const TOKEN = 'token-of-the-documents';

// The changelog is left out, because its commands may be outdated.
const commands = documents()
  .filter(({ path }) => path !== 'CHANGELOG.md')
  .flatMap(commandsIn);
const here = commands.filter(
  ({ line }, index) =>
    !isAssignment(line) &&
    !ELSEWHERE.some(({ which }) => which.test(line)) &&
    commands.findIndex((other) => other.line === line) === index,
);

/** Only these commands are run, because others could change this machine. */
const HARMLESS = /^(curl|node|npm|npx|openssl|session-control|set -a;|token=\$\(openssl) ?/;
/** An id that no session of any server has. It replaces the unknown ids in the documents. */
const UNKNOWN_ID = (2n ** 53n - 1n).toString();

/** True for a line that only sets variables. Such lines run together with the line after them. */
function isAssignment(line: string): boolean {
  return /^(export )?\w+=(?!\$\()\S*( \w+=\S*)*$/.test(line);
}

const reasons = await Promise.all(['curl', 'openssl'].map((name) => whyNoProgram(name)));
const missing = reasons.filter((why) => why !== undefined).join(' ');

const service = new ServiceProcess();
const sessions: ClientSession[] = [];
let workshop: Workshop;
/** The folder that `init` writes to. */
let settings: string;
/** The configuration file of the running service. */
let running: string;
let url: string;
beforeAll(async () => {
  const more = 'audit: { file: audit.jsonl }\nmetrics: { port: 0 }';
  service.configure(server, TOKEN, { service: more, node: 'name: orders-primary' });
  service.start({ NODE_PASSWORD: server.control.password });
  url = await service.url();
  workshop = new Workshop({
    url: url + processesPath().replace(/\/instances\/.*/, ''),
    node: url + processesPath().replace(/\/processes$/, ''),
    TOKEN,
    NODE_PASSWORD: server.control.password,
    SESSIONCTL_ENDPOINT: url,
    SESSIONCTL_PROJECT: nodeKey.projectId,
    SESSIONCTL_INSTANCE: nodeKey.instanceId,
    SESSIONCTL_NODE: nodeKey.nodeId,
    SESSIONCTL_TOKEN: TOKEN,
  });
  settings = join(workshop.home, 'etc');
  running = join(service.folder, 'running.yaml');
  const written = readFileSync(join(service.folder, 'service.yaml'), 'utf8');
  writeFileSync(running, written.replace('port: 0', `port: ${new URL(url).port}`));
  // Another program may use the port of the examples.
  workshop.change('tree/config/service.yaml', ['port: 8080', 'port: 0']);
  cpSync(join(PACKAGE, 'dist'), join(workshop.tree, 'dist'), { recursive: true });
});
afterAll(() => {
  for (const session of sessions) session.close();
  service.remove();
  workshop.remove();
});

/** Replaces the placeholders in a line. */
function filled(line: string, victim: ClientSession | undefined): string {
  const metricsPort = String(service.events('listening for metrics')[0]?.['port']);
  const said = line
    .replace('http://127.0.0.1:8080', url)
    .replace('127.0.0.1:9464', `127.0.0.1:${metricsPort}`)
    .replace('trial-token', TOKEN)
    .replace('/etc/session-control', settings)
    .replace('NODE_HOST=10.0.0.5 NODE_PASSWORD=…', `NODE_HOST=${server.host}`)
    .replace('verify FILE', `verify ${exampleRecord()}`)
    .replace(/\b(999999|2075426)\b/g, UNKNOWN_ID);
  return victim === undefined ? said : said.replace(/\b(13|2075425)\b/g, victim.id.toString());
}

/** Writes the audit records of a document to a file. Returns its path. */
function exampleRecord(): string {
  const lines = readFileSync('docs/operations.md', 'utf8').match(/^\{"record":.*$/gm) ?? [];
  writeFileSync(join(workshop.home, 'record.jsonl'), `${lines.join('\n')}\n`);
  return join(workshop.home, 'record.jsonl');
}

/** Returns the assignments that a line needs and that its document does not show. */
function surroundingsOf(line: string): string[] {
  if (line === 'npm start') return [`export CONFIG_FILE=${settings}/service.yaml NODE_HOST=x`];
  if (line === 'session-control init') return [];
  return line.startsWith('session-control ') ? [`export CONFIG_FILE=${running}`] : [];
}

/** Edits the file that `init` has written, as the document asks its readers to do. */
function putNodeIntoSettings(): void {
  workshop.change('etc/nodes.yaml', ['# port: 3306', `port: ${server.port}`]);
  workshop.change('etc/nodes.yaml', ['user: session_control', `user: ${server.control.user}`]);
}

/** Has one session wait for a row that another one has locked. */
async function blockSomebody(): Promise<void> {
  const tables = ['data_lock_waits', 'data_locks'];
  await asRoot(server, async (root) => {
    for (const table of server.flavour === 'mysql' ? tables : []) {
      const account = `'${server.control.user}'@'%'`;
      await root.query(`GRANT SELECT ON performance_schema.${table} TO ${account}`);
    }
  });
  const [holder, waiter] = [await openSession(server), await openSession(server)];
  sessions.push(holder, waiter);
  const table = `${server.app.user}.documents_${holder.id}`;
  await holder.connection.query(`CREATE TABLE ${table} (id INT PRIMARY KEY)`);
  await holder.connection.query(`INSERT INTO ${table} VALUES (1)`);
  await holder.connection.query('BEGIN');
  await holder.connection.query(`SELECT * FROM ${table} WHERE id = 1 FOR UPDATE`);
  runUnwatched(waiter, `SELECT * FROM ${table} WHERE id = 1 FOR UPDATE`);
  const state = `SELECT trx_state FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = ${waiter.id}`;
  // With faster polls, the server does not renew its transactions.
  await until(
    'it waits',
    async () =>
      asRoot(server, async (root) => {
        const [rows] = await root.query<RowDataPacket[]>(state);
        return rows[0]?.['trx_state'] === 'LOCK WAIT';
      }),
    60_000,
    200,
  );
}

/** Returns the shape of a JSON value: its keys without values, and only the first entry of each list. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf);
  if (typeof value !== 'object' || value === null) return 'value';
  return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, shapeOf(held)]));
}

describe('the commands in the documents', () => {
  it('are more than twenty', () => {
    expect(here.length).toBeGreaterThan(20);
  });

  it('include each command that this test skips', () => {
    const gone = ELSEWHERE.filter(({ which }) => !commands.some(({ line }) => which.test(line)));
    expect(gone).toEqual([]);
  });

  it.each(['torture', 'fleet', 'bench'])(
    'that take minutes print their usage: %s',
    async (name) => {
      const { code, output } = await workshop.run(`npm run ${name} -- --help`, workshop.tree);
      expect([code, output]).toEqual([0, expect.stringContaining('usage: ')]);
    },
  );

  const run = missing === '' ? it : it.skip;
  const why = missing === '' ? '' : ` (skipped: ${missing})`;
  run.each(here)(`run: $line${why}`, async ({ line, before, answer }) => {
    expect(line).toMatch(HARMLESS);
    const isKill = line.includes('-X DELETE');
    const isNamed = isKill || answer !== undefined || line.includes('2075425');
    const victim = isNamed ? await openSession(server) : undefined;
    if (victim) sessions.push(victim);
    if (line.includes('/blockers')) await blockSomebody();
    const lines = [...before.filter(isAssignment), line].map((each) => filled(each, victim));
    const script = [...surroundingsOf(line), ...lines].join('\n');
    const folder = /^(npm|npx|node|set) /.test(line) ? workshop.tree : workshop.home;

    if (/ start$/.test(line)) {
      const { output } = await workshop.runUntil(/\blistening\b(?! for)/, script, folder);
      expect(output).toMatch(/\bstopped\b/);
    } else if (/ --serve$/.test(line)) {
      const { output } = await workshop.runUntil(/Ctrl-C ends the demonstration/, script, folder);
      expect(output).toContain('Done: all');
    } else {
      let { code, output, messages } = await workshop.run(script, folder);
      // The service may show locks that it read 2 s ago.
      await until('the locks are new', async () => {
        const isNew = !output.includes('"blockers":[]');
        if (!isNew) ({ code, output, messages } = await workshop.run(script, folder));
        return isNew;
      });
      expect([code, messages, output]).toEqual([0, expect.any(String), expect.any(String)]);
      if (answer !== undefined) {
        const got = JSON.parse(output) as unknown;
        const shown = JSON.parse(filled(answer, victim)) as unknown;
        expect(isKill ? got : shapeOf(got)).toEqual(isKill ? shown : shapeOf(shown));
      }
    }
    if (isKill) await until('the session has ended', () => victim?.hasEnded() === true);
    if (line.endsWith('init /etc/session-control')) putNodeIntoSettings();
  });
});
