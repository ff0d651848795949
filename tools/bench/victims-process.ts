import { connect, type Socket } from 'node:net';
import { createConnection } from 'mysql2';
import { answerParent } from '../fleet/child.ts';

/** Sessions that were opened, and why there are not more. */
export interface Opened {
  readonly ids: readonly number[];
  readonly trouble?: string;
}

const OPENED_AT_ONCE = 32;

const open = new Set<Socket>();

/** What a process with clients of a node can be asked. Their sessions idle. */
export const victimsAnswers = {
  async open(port: number, user: string, count: number): Promise<Opened> {
    const ids: number[] = [];
    let begun = 0;
    let trouble: string | undefined;
    const openSome = async (): Promise<void> => {
      while (begun < count && trouble === undefined) {
        begun += 1;
        try {
          ids.push(await openOne(port, user));
        } catch (error) {
          trouble ??= String(error);
        }
      }
    };
    await Promise.all(Array.from({ length: OPENED_AT_ONCE }, openSome));
    return { ids, ...(trouble !== undefined && { trouble }) };
  },
  /** How many have not been ended. Only now is looked: elsewhere, clients that are ended take no time of the node's machine. */
  left(): number {
    for (const socket of open) socket.resume();
    return open.size;
  },
  close(): void {
    for (const socket of open) socket.destroy();
  },
};

answerParent(victimsAnswers);

function openOne(port: number, user: string): Promise<number> {
  const socket = connect(port, '127.0.0.1').setNoDelay(true);
  const connection = createConnection({ user, stream: () => socket, maxPreparedStatements: 1 });
  open.add(socket);
  socket.once('close', () => open.delete(socket));
  return new Promise((resolve, reject) => {
    // Stays for good: that the session is ended is an error to the driver.
    connection.on('error', (error: Error) => {
      socket.destroy();
      reject(error);
    });
    connection.once('connect', () => {
      socket.pause();
      resolve(connection.threadId);
    });
  });
}
