// Ends the sessions of an account that run a statement for too long. Skips a session that has changed since the list was read.
import { randomUUID } from 'node:crypto';
import { argv, env } from 'node:process';
import { SessionControlClient } from 'session-control/client';

const [user = 'report', seconds = '300'] = argv.slice(2);

const client = new SessionControlClient({
  endpoint: env['SESSIONCTL_ENDPOINT'] ?? '',
  credentials: { token: env['SESSIONCTL_TOKEN'] ?? '' },
});
const node = {
  projectId: env['SESSIONCTL_PROJECT'] ?? '',
  instanceId: env['SESSIONCTL_INSTANCE'] ?? '',
  nodeId: env['SESSIONCTL_NODE'] ?? '',
};

const sessions = await client.list(node, { signal: AbortSignal.timeout(30_000) });
const tooLong = sessions.filter(
  (session) =>
    session.user === user && session.command === 'Query' && session.time >= Number(seconds),
);
const {
  killed,
  notFound,
  failed,
  unknown,
  sessions: details,
} = await client.kill(node, tooLong, {
  reason: `${user} ran for more than ${seconds} s`,
  waitSeconds: 10,
  idempotencyKey: randomUUID(),
});
for (const { id, outcome } of details) console.log(`${id} ${outcome}`);
console.log(
  `${killed.length} killed, ${notFound.length} left alone, ${failed.length + unknown.length} to look at`,
);
