import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { HeldBytes } from './held-bytes.ts';
import { PacedConnection, type Exchange } from './paced-connection.ts';

/**
 * Has a server read one request of a connection at a time. A pipelined request waits as unparsed bytes, of two reads at most, and a body
 * until something reads it. After an answer with `Connection: close` nothing more is read (RFC 9112 section 9.6).
 * `opened` is the event of the server with which Node begins to parse a connection; `turnAway` ends a connection when all
 * of them together hold too many bytes. Returns the exchange of a connection.
 */
export function takeTurns(
  server: Server,
  opened: 'connection' | 'secureConnection',
  turnAway: (socket: Socket) => void,
): (socket: object) => Exchange | undefined {
  const paced = new WeakMap<object, PacedConnection>();
  const shared = { later: oneATurn(), held: new HeldBytes(), turnAway };
  server.on(opened, (socket: Socket) => {
    paced.set(socket, new PacedConnection(socket, shared));
  });
  server.prependListener('request', (req: IncomingMessage, res: ServerResponse) => {
    paced.get(req.socket)?.begin({ req, res });
  });
  return (socket) => paced.get(socket)?.exchange;
}

/** Returns what puts off work: one piece a turn of the event loop, so that what has just come in gets ahead of pipelined requests. */
function oneATurn(): (work: () => void) => void {
  const waiting: (() => void)[] = [];
  const next = (): void => {
    waiting[0]?.();
    waiting.shift();
    if (waiting.length > 0) setImmediate(next);
  };
  return (work) => {
    if (waiting.push(work) === 1) setImmediate(next);
  };
}
