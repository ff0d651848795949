import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { answerParent } from '../fleet/child.ts';

/** The functions of the process that adds latency. */
export const latencyAnswers = {
  /**
   * Starts a proxy for the server at this port, and resolves to the proxy's port. The proxy delays all data from the server by `ms`
   * milliseconds, without a limit of the bandwidth.
   */
  async addLatency(port: number, ms: number): Promise<number> {
    const listener = createServer({ noDelay: true }, (client) => {
      const server = connect({ port, host: '127.0.0.1', noDelay: true });
      carry(client, server, (work) => {
        work();
      });
      carry(server, client, (work) => {
        setTimeout(work, ms);
      });
    });
    await once(listener.listen(0, '127.0.0.1'), 'listening');
    return (listener.address() as AddressInfo).port;
  },
};

answerParent(latencyAnswers);

function carry(from: Socket, to: Socket, later: (work: () => void) => void): void {
  from.on('data', (chunk) => {
    later(() => to.write(chunk));
  });
  from.on('error', () => undefined);
  from.on('close', () => {
    later(() => {
      to.destroySoon();
    });
  });
}
