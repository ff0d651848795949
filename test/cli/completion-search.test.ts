import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { whyNoProgram } from '../../tools/program.ts';
import { openSession, runUnwatched, type ClientSession } from '../support/client-session.ts';
import { nodeKey } from '../support/ids.ts';
import { itNeeds } from '../support/needs.ts';
import { ScriptedApi } from '../support/scripted-api.ts';
import { createAccounts, processList, type Server } from '../support/server.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { Sessionctl } from '../support/sessionctl.ts';
import { until } from '../support/until.ts';

const noFish = await whyNoProgram('fish');
const noZsh = await whyNoProgram('zsh');

const { projectId, instanceId, nodeId } = nodeKey;
const OTHER = `${'f'.repeat(32)}no07`;
const ODD = `odd & "name" $x 'y' 中`;
const api = new ScriptedApi();
const service = new ServiceProcess();
const sessionctl = new Sessionctl();
const opened: ClientSession[] = [];
let own: OwnServer;
let server: Server;
/** The ids of a session that runs a statement, and of an idle one. */
let ids: readonly string[];
let asked: string;

beforeAll(async () => {
  own = await startServer('mariadb');
  server = await createAccounts(own);
  service.configure(server, 'token-of-ops', {
    node: `name: orders-primary
  - { node_id: ${OTHER}, instance_id: ${instanceId}, project_id: ${projectId}, host: ${server.host}, port: ${server.port}, user: ${server.control.user}, password: "\${NODE_PASSWORD}" }`,
  });
  service.start({ NODE_PASSWORD: server.control.password });
  const [busy, idle] = [await openSession(server), await openSession(server)];
  opened.push(busy, idle);
  runUnwatched(
    busy,
    "SELECT SLEEP(600), '\t\u001b[31m' /* a 'long' statement that does not end here, but there */",
  );
  await until('it runs', async () =>
    (await processList(server)).some(({ Info }) => String(Info).includes('SLEEP')),
  );
  ids = [busy, idle].map(({ id }) => id.toString());
  await api.start();
  // It never answers.
  api.acts = [() => undefined];
  asked = join(sessionctl.folder, 'asked');
  const node = { project: projectId, instance: instanceId, nodes: ['orders-primary'] };
  const context = { ...node, endpoint: await service.url() };
  const credentials = { token: 'token-of-ops' };
  const folder = join(sessionctl.folder, '.config/sessionctl');
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'config.yaml'),
    stringify({
      current: 'prod',
      contexts: {
        prod: { ...context, credentials },
        [ODD]: { ...context, credentials, nodes: [nodeId, OTHER] },
        prints: { ...context, credentials: { token_command: 'echo token-of-ops' } },
        asks: {
          ...context,
          credentials: {
            token_command: `echo Password: >&2; echo Password: >/dev/tty && touch ${asked}; cat; cat /dev/tty && echo token-of-ops`,
          },
        },
        lingers: { ...context, credentials: { token_command: 'sleep 20; echo token-of-ops' } },
        silent: { ...context, credentials, endpoint: api.endpoint },
        denied: { ...context, credentials: { token: 'wrong' } },
        broken: { endpoint: context.endpoint },
      },
    }),
    // Others can read it, which other commands warn about.
    { mode: 0o644 },
  );
});
afterAll(async () => {
  for (const session of opened) session.close();
  sessionctl.closeTerminals();
  sessionctl.remove();
  service.remove();
  api.stop();
  await own.stop();
});

const CONTEXTS = ['prod', ODD, 'prints', 'asks', 'lingers', 'silent', 'denied', 'broken'];
const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** Returns what bash offers for a line whose words are as typed, without the flags. */
async function inBash(words: readonly string[], environment = {}): Promise<readonly string[]> {
  const line = ['sessionctl', ...words].map(quoted).join(' ');
  const { output, messages } = await sessionctl.run(
    `source <(sessionctl completion bash)
COMP_WORDS=(${line}); COMP_CWORD=${words.length}; _sessionctl
printf '%s\\n' "\${COMPREPLY[@]}"`,
    environment,
  );
  expect(messages).toBe('');
  return output.split('\n').filter((word) => word !== '' && !word.startsWith('-'));
}

describe('bash offers', () => {
  it.each<[readonly string[], () => readonly string[]]>([
    [['context', 'show', 'p'], () => ['prod', 'prints']],
    [['context', 'remove', "'od"], () => [ODD]],
    [['--context', 'br'], () => ['broken']],
    [['list', '--node', ''], () => ['orders-primary', OTHER]],
    [['--context', 'prints', 'list', '--node', 'or'], () => ['orders-primary']],
    [['kill', ''], () => ids],
    [['kill', '--user', 'app', '--blocker-of', ''], () => ids],
    [['show', ''], () => ids],
    [['--context', 'prod', 'show', '--node', OTHER, ''], () => ids],
    [['--context', 'prints', 'show', ''], () => ids],
    [['context', 'add', ''], () => []],
    [['list', ''], () => []],
  ])('for %j the right words', async (words, offered) => {
    expect(await inBash(words)).toEqual(offered());
  });

  it('names with odd characters so that bash reads them as one word', async () => {
    const [odd = '', ...others] = await inBash(['context', 'use', 'odd\\ \\&']);
    const { output } = await sessionctl.run(`printf %s ${odd}`);
    expect([output, others]).toEqual([ODD, []]);
    expect(await inBash(['context', 'use', ''])).toHaveLength(CONTEXTS.length);
  });

  it('NODE/ID of all nodes on the line', async () => {
    const words = ['--context', quoted(ODD), 'kill', '--instance-wide', ''];
    expect(await inBash(words)).toEqual(
      ['orders-primary', OTHER].flatMap((node) => ids.map((id) => `${node}/${id}`)),
    );
  });

  it.each([
    ['asks', ['kill', '']],
    ['lingers', ['kill', '']],
    ['silent', ['kill', '']],
    ['silent', ['list', '--node', '']],
    ['denied', ['kill', '']],
    ['broken', ['kill', '']],
    ['nowhere', ['kill', '']],
    [ODD, ['kill', '']],
  ])('nothing, and stays silent, in the context %s for %j', async (context, words) => {
    api.came.splice(0);
    expect(await inBash(['--context', quoted(context), ...words])).toEqual([]);
    expect(api.came.length).toBeLessThan(2);
  });

  it('nothing without a configuration file', async () => {
    const environment = { XDG_CONFIG_HOME: '/nowhere' };
    for (const words of [
      ['context', 'use', ''],
      ['list', '--node', ''],
      ['kill', ''],
    ]) {
      expect(await inBash(words, environment)).toEqual([]);
    }
  });
});

describe('on a terminal', () => {
  it('a token_command cannot ask', async () => {
    const screen = sessionctl.open(
      'sessionctl __complete ids -- kill --context asks ""; echo done',
    );
    await screen.ended();
    expect(screen.shown.trim()).toBe('done');
    const { output } = await sessionctl.run(`ls ${asked} 2>/dev/null`);
    expect(output).toBe('');
  });
});

describe('fish offers', () => {
  itNeeds(noFish, 'contexts, nodes and ids with their descriptions', async () => {
    const offers = async (line: string): Promise<readonly string[]> => {
      const { output, messages } = await sessionctl.run(
        `fish --no-config -c ${quoted(`sessionctl completion fish | source; complete -C ${quoted(line)}`)}`,
      );
      expect(messages).toBe('');
      return output.split('\n').filter((word) => word !== '' && !word.startsWith('-'));
    };
    const sessions = [
      `${ids[0] ?? ''}\t${server.app.user}: SELECT SLEEP(600), ' \\x1b[31m' /* a 'long' st`,
      `${ids[1] ?? ''}\t${server.app.user}: Sleep`,
    ].map((line) => expect.stringContaining(line.slice(0, 40)));
    expect(await offers('sessionctl kill ')).toEqual(sessions);
    expect(await offers('sessionctl show --context prints ')).toEqual(sessions);
    expect(await offers('sessionctl kill --blocker-of ')).toEqual(sessions);
    expect(await offers('sessionctl list --node ')).toEqual([OTHER, `orders-primary\t${nodeId}`]);
    const endpoint = await service.url();
    expect(await offers('sessionctl context show p')).toEqual([
      `prints\t${endpoint}`,
      `prod\t${endpoint}`,
    ]);
    expect(await offers('sessionctl kill --context silent ')).toEqual([]);
  });
});

describe('zsh offers', () => {
  itNeeds(noZsh, 'contexts, nodes and ids with their descriptions', async () => {
    const screen = sessionctl.open('zsh -f -i', { PS1: 'ready> ' });
    /** Types a text when zsh is ready, then a key: zsh takes a tab for text if it reads it together with other keys. */
    const press = async (text: string, key: string): Promise<void> => {
      await screen.shows('ready> ');
      screen.shown = '';
      screen.type(text);
      await screen.shows(text.slice(-2));
      screen.shown = '';
      screen.type(key);
    };
    await press('unsetopt list_ambiguous; bindkey -e; autoload -U compinit; compinit -u -D', '\n');
    await press('source <(sessionctl completion zsh)', '\n');
    await press('sessionctl kill ', '\t');
    await screen.shows(`${ids[0] ?? ''}  -- ${server.app.user}: SELECT SLEEP`);
    await screen.shows(`${ids[1] ?? ''}  -- ${server.app.user}: Sleep`);
    screen.type('\x03');
    await press('sessionctl list --node or', '\t');
    await screen.shows('ders-primary');
    screen.type('\x03');
    await press('shown() { print -r -- "[$3]" }; compdef _sessionctl shown', '\n');
    await press('shown context use od', '\t');
    await screen.shows('中');
    screen.type('\n');
    await screen.shows(`[${ODD}]`);
    await press('sessionctl comp', '\t');
    await screen.shows('letion');
    screen.type('\x03');
    await press('exit', '\n');
    await screen.ended();
  });
});
