import { setTimeout as pause } from 'node:timers/promises';
import type { Deadline } from '../../domain/deadline.ts';
import type { Node } from '../../domain/node.ts';
import { ServiceError } from '../../errors.ts';
import { isEndpointUnavailable, isFull } from '../node-trouble.ts';
import { SharedControlConnection, type KnownOfNode } from '../shared-connection.ts';

/** On a full node each refused login takes the last connection for a moment: another attempt can succeed. */
const FULL_PATIENCE_MS = 1000;
const FULL_PAUSE_MS = 50;

/**
 * Opens a control connection over the main port, or over the spare port if the main port is unavailable. Retries a full node for 1 s. Throws the
 * main port's error; if the spare port answers but must not be used, throws why, with the main port's error as the cause.
 */
export async function connectWithFallback(
  node: Node,
  known: KnownOfNode,
): Promise<SharedControlConnection> {
  const begun = performance.now();
  const limit = (): Deadline => performance.now() + node.connectTimeoutMs + node.listTimeoutMs;
  for (;;) {
    try {
      return await SharedControlConnection.open(node, node, limit(), known);
    } catch (error) {
      if (!isEndpointUnavailable(error)) throw error;
      const spare = await openSpare(node, limit(), known);
      if (spare instanceof SharedControlConnection) return spare;
      if (!isFull(error) || performance.now() - begun > FULL_PATIENCE_MS) {
        throw spare === undefined
          ? error
          : new ServiceError(spare.code, spare.detail, { cause: error });
      }
      await pause(FULL_PAUSE_MS * (1 + Math.random()));
    }
  }
}

/** Returns the reason if the spare port must not be used; undefined if there is no spare port, or it is unavailable too. */
async function openSpare(
  node: Node,
  deadline: Deadline,
  known: KnownOfNode,
): Promise<SharedControlConnection | ServiceError | undefined> {
  if (node.admin === undefined) return undefined;
  try {
    return await SharedControlConnection.open(node, node.admin, deadline, known);
  } catch (error) {
    return error instanceof ServiceError ? error : undefined;
  }
}
