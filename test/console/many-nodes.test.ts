import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { itBrowses } from '../support/browser.ts';
import { ConsoleStage, createClients, NODE_NAME } from '../support/console.ts';
import { OPS, removeClients, signIn, withOwnClients } from '../support/console.ts';
import { nodeKey } from '../support/ids.ts';
import { servers, type Server } from '../support/server.ts';
import { until } from '../support/until.ts';

const [shared] = servers as [Server];
const server = withOwnClients(shared);
const stage = new ConsoleStage();
const [ANSWERING, REFUSING] = [12, 47];
beforeAll(async () => {
  await createClients(server);
  const { projectId, instanceId } = nodeKey;
  const { user, password } = server.control;
  const entry = (name: string, index: number, port: number): string =>
    `  - { name: ${name}, node_id: ${index.toString().padStart(32, '0')}no07, instance_id: ${instanceId}, project_id: ${projectId}, host: ${server.host}, port: ${port}, user: ${user}, password: ${password} }`;
  const others = [
    ...Array.from({ length: ANSWERING }, (_, index) => entry(`up-${index}`, index, server.port)),
    ...Array.from({ length: REFUSING }, (_, index) => entry(`down-${index}`, 100 + index, 1)),
  ];
  await stage.start(server, { otherNodes: others.join('\n') });
});
afterAll(async () => {
  await stage.close();
  await removeClients(server);
});

describe('a project of 60 nodes', () => {
  itBrowses('stays within a quarter of the reads, and shows when each node was read', async () => {
    const { page, complaints } = await stage.open();
    const sent: string[] = [];
    page.on('request', (request) => {
      if (request.url().includes('/v3/')) sent.push(new URL(request.url()).pathname);
    });
    await signIn(page, OPS);
    await page.getByRole('link', { name: NODE_NAME }).click();
    const items = page.getByRole('navigation').getByRole('listitem');
    await until('all nodes are read', async () => {
      const texts = await items.allInnerTexts();
      // Other tests can block sessions of the server.
      const up = texts.filter((text) => /blocked[^]*as of \d\d:\d\d:\d\d$/.test(text));
      const down = texts.filter((text) => text.includes('unreachable'));
      return up.length === ANSWERING + 1 && down.length === REFUSING;
    });
    // The service takes 600 reads a minute, and the page has run for less than one.
    expect(sent.length).toBeLessThanOrEqual(150);
    expect(complaints).toEqual([]);
    // The list of nodes scrolls by itself.
    const box = await page.getByRole('heading', { name: NODE_NAME }).boundingBox();
    expect(box?.y).toBeGreaterThanOrEqual(0);
    const head = page.getByText(/^as of/).last();
    const before = await head.textContent();
    await until('the chosen node is read again', async () => (await head.textContent()) !== before);
  });
});
