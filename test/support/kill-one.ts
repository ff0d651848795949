import { expect } from '@jest/globals';
import type { Node } from '../../src/domain/node.ts';
import { openSession } from './client-session.ts';
import { nodeOn, type Server } from './server.ts';
import { createService } from './service.ts';
import { until } from './until.ts';

/**
 * Opens a session, and requests a kill through a service whose registry has the node with these changes. Returns `killed`, or the error
 * if the session lives.
 */
export async function killOne(server: Server, changes: Partial<Node>): Promise<string> {
  const session = await openSession(server);
  try {
    const api = createService({ registry: [nodeOn(server, changes)] });
    const { status, body } = await api.kill([session.id]);
    if (status === 200) await until('the session has ended', () => session.hasEnded());
    expect(session.hasEnded()).toBe(status === 200);
    return status === 200 ? 'killed' : (body as { error_msg: string }).error_msg;
  } finally {
    session.close();
  }
}
