import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { itBrowses } from '../support/browser.ts';
import { openSession } from '../support/client-session.ts';
import { ConsoleStage, createClients, OPS } from '../support/console.ts';
import { READER, removeClients, tickFor, withOwnClients } from '../support/console.ts';
import { servers, type Server } from '../support/server.ts';

const [shared] = servers as [Server];
const server = withOwnClients(shared);
const [audited, unaudited] = [new ConsoleStage(), new ConsoleStage()];
beforeAll(async () => {
  await createClients(server);
  const file = join(audited.service.folder, 'audit.jsonl');
  await audited.start(server, { service: `audit: { file: ${file}, require_reason: true }` });
  await unaudited.start(server);
});
afterAll(async () => {
  await audited.close();
  await unaudited.close();
  await removeClients(server);
});

describe('the history', () => {
  itBrowses('shows who ended a session, and why; without a reason nothing is ended', async () => {
    const session = await openSession(server);
    const { page, complaints } = await audited.enter(OPS);
    await tickFor(page, session.id).check();
    await page.getByRole('button', { name: 'End 1 session' }).click();
    const dialog = page.getByRole('dialog');
    const end = dialog.getByRole('button', { name: 'End 1 session' });
    await end.click();
    await dialog.getByText('The service requires a reason.').waitFor();
    expect(session.hasEnded()).toBe(false);
    await dialog.getByLabel('Reason').fill('报表 runs away');
    await end.click();
    await dialog.getByRole('row', { name: /gone$/ }).waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('tab', { name: 'History' }).click();
    const row = page.getByRole('row').filter({ hasText: '报表 runs away' });
    await row.getByText('ops', { exact: true }).waitFor();
    await row.getByText(session.id.toString(), { exact: true }).waitFor();
    expect(complaints).toEqual([]);
  });

  itBrowses('shows the sentence of the service if it records no kills', async () => {
    const { page } = await unaudited.enter(OPS);
    await page.getByRole('tab', { name: 'History' }).click();
    await page.getByRole('alert').getByText('The service records no kills').waitFor();
  });

  itBrowses('shows the sentence of the service if the caller may not read it', async () => {
    const { page } = await audited.enter(READER);
    await page.getByRole('tab', { name: 'History' }).click();
    await page.getByRole('alert').getByText('not authorized').waitFor();
  });
});
