import { pipeline, Readable } from 'node:stream';
import type { RequestHandler, Response } from 'express';

const PIECE_BYTES = 16_384;

/** Returns a handler that sends a file from memory. Sent from the disk, a file would stay open until its client has read it. */
export function fromMemory(
  type: string,
  read: () => Promise<Buffer>,
  turn: () => Promise<void>,
): RequestHandler {
  let bytes: Buffer | undefined;
  return async (_req, res) => {
    bytes ??= await read();
    sendPieces(res.type(type), bytes, turn);
  };
}

/** Sends bytes from memory, in pieces. */
export function sendPieces(res: Response, bytes: Buffer, turn: () => Promise<void>): void {
  res.set('Content-Length', bytes.length.toString());
  // The pipeline adds six listeners to those of every response: Node.js would warn of a leak.
  res.setMaxListeners(20);
  // TLS copies the bytes that it sends. Without pieces, each client that does not read would hold a copy of the whole file.
  pipeline(Readable.from(piecesOf(bytes, turn)), res, () => undefined);
}

async function* piecesOf(bytes: Buffer, turn: () => Promise<void>): AsyncIterable<Buffer> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    await turn();
    yield bytes.subarray(at, at + PIECE_BYTES);
  }
}

/** Returns a function whose promise resolves for one caller in each turn of the event loop, so that downloads do not delay kills. */
export function onePerTurn(): () => Promise<void> {
  const waiting: (() => void)[] = [];
  const next = (): void => {
    waiting.shift()?.();
    if (waiting.length > 0) setImmediate(next);
  };
  return () =>
    new Promise((resolve) => {
      if (waiting.push(resolve) === 1) setImmediate(next);
    });
}
