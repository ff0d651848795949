import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Node } from '../../src/domain/node.ts';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { LockStage, SCENES } from '../support/lock-scenes.ts';
import { lookAtLocks } from '../support/look-at-locks.ts';
import { asRoot, createAccounts, nodeOn, servers, type Server } from '../support/server.ts';

const TABLES = {
  mysql: ['data_lock_waits', 'data_locks', 'metadata_locks', 'threads'],
  mariadb: ['metadata_locks', 'threads'],
};
const SHOWN = [
  '--performance-schema=ON',
  '--performance-schema-instrument=wait/lock/metadata/sql/mdl=ON',
];

const kinds = (['mariadb', 'mysql'] as const).filter((kind) =>
  servers.some(({ flavour, canHavePair }) => flavour === kind && canHavePair),
);

describe.each(kinds)('the locks of %s', (kind) => {
  let own: OwnServer;
  let server: Server;
  let stage: LockStage;
  let node: Node;

  beforeAll(async () => {
    own = await startServer(kind, { arguments: ['--max-connections=500', ...SHOWN] });
    server = await createAccounts(own);
    node = nodeOn(server);
    await asRoot(server, async (root) => {
      for (const table of TABLES[kind]) {
        await root.query(
          `GRANT SELECT ON performance_schema.${table} TO '${server.control.user}'@'%'`,
        );
      }
    });
  });
  afterAll(() => own.stop());
  afterEach(() => stage.close());

  const set = async (): Promise<LockStage> => {
    stage = new LockStage(server);
    await stage.prepare();
    return stage;
  };
  const end = (id: bigint | null): Promise<unknown> =>
    asRoot(server, (root) => root.query(`KILL ${String(id)}`));
  const allEnded = (): Promise<unknown[]> => Promise.all(stage.waiting.map(({ ended }) => ended));

  it.each(Object.entries(SCENES))(
    '%s: the others go on once the roots are ended',
    async (_, build) => {
      await set();
      const expected = (await build(stage)).map(({ id }) => id);

      const { blockers, waits, sources } = await lookAtLocks(node);

      expect(sources).toEqual({ row: 'available', metadata: 'available' });
      const roots = blockers.filter(({ isRoot }) => isRoot);
      expect(roots.map(({ id }) => id).sort()).toEqual([...expected].sort());
      expect(roots.map(({ waiters }) => waiters)).toEqual(expected.map(() => stage.waiting.length));
      expect(new Set(waits.map(({ id }) => id))).toEqual(
        new Set(stage.waiting.map(({ id }) => id)),
      );
      for (const { id, canBeKilled } of roots) {
        expect(canBeKilled).toBe(true);
        await end(id);
      }
      expect((await allEnded()).filter((error) => error !== undefined)).toEqual([]);
    },
  );
});
