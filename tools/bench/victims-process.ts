import { connect, type Socket } from 'node:net';
import { createConnection } from 'mysql2';
import { answerParent } from '../fleet/child.ts';

/** The sessions that were opened, and the trouble if some could not be. */
export interface Opened {
  readonly ids: readonly number[];
  readonly trouble?: string;
}

const OPENED_AT_ONCE = 32;

const open = new Set<Socket>();

/** The functions of a process with idle clients of a node. */
export const victimsAnswers = {
  /** With a statement, each client sends it once, and does not wait for its end. */
  async open(port: number, user: string, count: number, statement?: string): Promise<Opened> {
    const ids: number[] = [];
    let begun = 0;
    let trouble: string | undefined;
    const openSome = async (): Promise<void> => {
      while (begun < count && trouble === undefined) {
        begun += 1;
        try {
          ids.push(await openOne(port, user, statement));
        } catch (error) {
          trouble ??= String(error);
        }
      }
    };
    await Promise.all(Array.from({ length: OPENED_AT_ONCE }, openSome));
    return { ids, ...(trouble !== undefined && { trouble }) };
  },
  /**
   * Returns the number of clients that are still connected. The clients read their sockets only from now on, so that their ends take
   * no processor time during a measurement.
   */
  left(): number {
    for (const socket of open) socket.resume();
    return open.size;
  },
  close(): void {
    for (const socket of open) socket.destroy();
  },
};

answerParent(victimsAnswers);

function openOne(port: number, user: string, statement: string | undefined): Promise<number> {
  const socket = connect(port, '127.0.0.1').setNoDelay(true);
  const connection = createConnection({ user, stream: () => socket, maxPreparedStatements: 1 });
  open.add(socket);
  socket.once('close', () => open.delete(socket));
  return new Promise((resolve, reject) => {
    // The listener stays, because the driver reports the end of a killed session as an error.
    connection.on('error', (error: Error) => {
      socket.destroy();
      reject(error);
    });
    connection.once('connect', () => {
      if (statement !== undefined) connection.query(statement, () => undefined);
      socket.pause();
      resolve(connection.threadId);
    });
  });
}
