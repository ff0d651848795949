import { setTimeout as pause } from 'node:timers/promises';
import type { Deadline } from '../domain/deadline.ts';
import type { Node } from '../domain/node.ts';
import { isDoorShut, isFull } from './server-errors.ts';
import { SharedConnection } from './shared-connection.ts';

/** On a full node each login that is turned away takes the last connection for a moment. */
const FULL_PATIENCE_MS = 1000;
const FULL_PAUSE_MS = 50;

/**
 * Opens a control connection by the main port or, when that is shut, by the spare one at once. On a node that is full and has no spare
 * port it is tried for a second. Throws the error of the main port.
 */
export async function openThroughAnyDoor(node: Node): Promise<SharedConnection> {
  const begun = performance.now();
  const limit = (): Deadline => performance.now() + node.connectTimeoutMs + node.listTimeoutMs;
  for (;;) {
    try {
      return await SharedConnection.open(node, node, limit());
    } catch (error) {
      if (!isDoorShut(error)) throw error;
      if (node.admin !== undefined) {
        const spare = await SharedConnection.open(node, node.admin, limit()).catch(() => undefined);
        if (spare !== undefined) return spare;
      }
      if (!isFull(error) || performance.now() - begun > FULL_PATIENCE_MS) throw error;
      await pause(FULL_PAUSE_MS * (1 + Math.random()));
    }
  }
}
