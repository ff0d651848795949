import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { argv } from 'node:process';

// Sends the same bytes over many connections, and again after each answer. Usage:
// flood-process.ts <port> <first address> <number of addresses> <connections> <bytes, as JSON>

const [, , port, first = '', addresses, connections, bytes = ''] = argv;
const request = JSON.parse(bytes) as string;

async function open(n: number): Promise<Socket> {
  const [a, b, c, d = 0] = first.split('.').map(Number);
  const at = d + (n % Number(addresses));
  const localAddress = [a, b, (c ?? 0) + Math.floor(at / 256), at % 256].join('.');
  const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

const sockets = await Promise.all(Array.from({ length: Number(connections) }, (_, n) => open(n)));
const answered = sockets.map(async (socket) => {
  socket.on('data', () => socket.write(request));
  socket.write(request);
  await once(socket, 'data');
});
await Promise.all(answered);
process.send?.('each was answered');
process.on('disconnect', () => process.exit());
