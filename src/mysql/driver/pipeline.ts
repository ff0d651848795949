import type { Connection } from 'mysql2';
import { internalsOf, packetOf } from './mysql2-internals.ts';
import type { Mysql2Internals, Packet } from './mysql2-internals.ts';

/** At most this many statements are unanswered at once: a connection that breaks leaves at most this many outcomes unknown. */
const WINDOW = 64;
const OK = 0;

/** Statements to send one behind the other. */
export interface Pipelined {
  /** Returns the next statement, one without rows; undefined if there is none. */
  readonly next: () => string | undefined;
  /** Called with each answer, in the order of the statements: the error, or undefined for OK. */
  readonly answered: (error: Error | undefined) => void;
}

/**
 * Sends statements without waiting for earlier answers: servers read them one by one, and answer each, also after an error. The driver
 * cannot do that, so this is a command for its queue. Resolves when every statement that was sent has its answer. Throws the driver's error
 * if the connection breaks before.
 */
export function pipeline(connection: Connection, { next, answered }: Pipelined): Promise<void> {
  return new Promise((resolve, reject) => {
    let unanswered = 0;
    const fill = (driver: Mysql2Internals): void => {
      // A few at a time, so that they share network packets.
      if (unanswered > WINDOW / 2) return;
      const packets: Buffer[] = [];
      while (unanswered < WINDOW) {
        const sql = next();
        if (sql === undefined) break;
        packets.push(packetOf(sql));
        unanswered += 1;
      }
      if (packets.length > 0) driver.write(Buffer.concat(packets));
    };
    const command = {
      onResult: reject,
      execute(packet: Packet | undefined, driver: Mysql2Internals): boolean {
        if (packet !== undefined) {
          unanswered -= 1;
          answered(answerIn(packet, driver));
        }
        fill(driver);
        // The packets of a statement and its answer are counted from 0.
        driver.sequenceId = 1;
        if (unanswered > 0) return false;
        resolve();
        return true;
      },
    };
    internalsOf(connection).addCommand(command);
  });
}

/** Returns the error in an answer, or undefined for OK. Throws on any other answer: then the driver breaks the connection. */
function answerIn(packet: Packet, driver: Mysql2Internals): Error | undefined {
  if (packet.isError()) return packet.asError(driver.clientEncoding);
  if (packet.peekByte() !== OK)
    throw new Error('A statement without rows had another answer than OK');
  return undefined;
}
