import type { Connection } from 'mysql2';
import { internalsOf, packetOf } from './mysql2-internals.ts';
import type { Mysql2Internals, Packet } from './mysql2-internals.ts';

/** So many statements are under way at once: with the connection, what came of so many is lost at most. */
const WINDOW = 64;
const OK = 0;

/** What is to be sent one behind the other. */
export interface Pipelined {
  /** The next statement, one that returns no rows; undefined when nothing more is to be sent. */
  readonly next: () => string | undefined;
  /** Hears each answer, in the order of the statements: the error, or undefined for OK. */
  readonly answered: (error: Error | undefined) => void;
}

/**
 * Sends statements without waiting for the answers to those before: servers read one after the other from the line, and answer each, also
 * after an error. The driver has no such thing, so this is a command for its queue. Resolves when every statement that was sent is
 * answered; rejects with the driver's error when the connection is lost before.
 */
export function pipeline(connection: Connection, { next, answered }: Pipelined): Promise<void> {
  return new Promise((resolve, reject) => {
    let unanswered = 0;
    const fill = (driver: Mysql2Internals): void => {
      // A few at a time, not each in a packet of the network of its own.
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

/** Throws when it is neither OK nor an error: the driver then breaks the connection. */
function answerIn(packet: Packet, driver: Mysql2Internals): Error | undefined {
  if (packet.isError()) return packet.asError(driver.clientEncoding);
  if (packet.peekByte() !== OK)
    throw new Error('A statement without rows had another answer than OK');
  return undefined;
}
