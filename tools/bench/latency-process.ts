import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { answerParent } from '../fleet/child.ts';

/** What the process with the long line can be asked. */
export const latencyAnswers = {
  /**
   * Listens for clients of the server at this port; returns where. What the server says comes so much later, and whatever is under way
   * at the same time waits at the same time: a line that is long, not narrow.
   */
  async lengthen(port: number, ms: number): Promise<number> {
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
