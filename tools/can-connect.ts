import { once } from 'node:events';
import { connect } from 'node:net';

/** Resolves to true if a process listens on this port of 127.0.0.1. */
export async function canConnect(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const isConnected = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return isConnected;
}
