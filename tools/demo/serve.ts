import type { HttpRequest } from '../../src/client/index.ts';
import { curlOf } from './api.ts';
import type { Scene } from './scene.ts';
import type { Screen } from './screen.ts';
import { NODE, type LogEvent } from './service.ts';

/** Shows commands to try. Then shows each log line of the service and each client that loses its session, until the returned function is called. */
export function invite(
  screen: Screen,
  { node, accounts, service, clients }: Scene,
  list: HttpRequest,
  kill: HttpRequest,
): () => void {
  screen.say('The disconnected clients have connected again. List all sessions:');
  screen.code(curlOf(list));
  const some = ['web-1', 'jobs-3'].map((name) => clients.called(name));
  screen.say(
    `End the sessions of ${some.map(({ part }) => part.name).join(' and ')}, or use other ids:`,
  );
  const ids = some.map(({ id }) => id);
  screen.code(curlOf({ ...kill, body: `{"processes":[${ids.join(',')}]}` }));
  screen.say('Or set these variables and use sessionctl:');
  screen.code(
    [
      `export SESSIONCTL_ENDPOINT=${service.origin} SESSIONCTL_TOKEN=${service.token}`,
      `export SESSIONCTL_PROJECT=${NODE.projectId}`,
      `export SESSIONCTL_INSTANCE=${NODE.instanceId}`,
      `export SESSIONCTL_NODE=${NODE.nodeId}`,
      'npm run --silent sessionctl -- list',
      'npm run --silent sessionctl -- history',
    ].join('\n'),
  );
  screen.say('Open a session of your own, list it, end it, and see the error of your client:');
  const { user, password, database } = accounts.apps.web;
  const program = node.flavour === 'mysql' ? 'mysql' : 'mariadb';
  screen.code(
    `${program} --host=${node.host} --port=${node.port} --user=${user} --password=${password} ${database}`,
  );
  screen.say('Or look at the sessions in a browser. The page asks for the project id and a token:');
  screen.code(`${service.origin}/console#project=${NODE.projectId}`);
  screen.code(service.token);
  screen.say('Ctrl-C ends the demonstration and cleans up. Until then, events appear here:');
  service.onEvent = (event) => {
    screen.say(`The service logs: ${summaryOf(event)}`);
  };
  for (const client of clients.present) {
    client.onEnd = () => {
      screen.say(`${client.part.name} has lost its session ${client.id}.`);
    };
  }
  return () => {
    service.onEvent = () => undefined;
    for (const client of clients.present) client.onEnd = () => undefined;
  };
}

const SHOWN = [
  ...['caller', 'session_id', 'session_user', 'session_host', 'outcome'],
  ...['method', 'status', 'duration_ms', 'killed', 'not_found', 'error_code', 'reason'],
];

function summaryOf({ message, fields }: LogEvent): string {
  const shown = SHOWN.filter((name) => name in fields);
  return [message, ...shown.map((name) => `${name}=${String(fields[name])}`)].join(' ');
}
