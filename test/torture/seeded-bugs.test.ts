import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { check } from '../../tools/torture/checker.ts';
import { History } from '../../tools/torture/history.ts';
import { TortureNode } from '../../tools/torture/node.ts';
import { REQUEST_TIMEOUT_MS } from '../../tools/torture/service.ts';
import { torture, type Undos } from '../../tools/torture/torture.ts';
import type { Violation } from '../../tools/torture/view.ts';
import { whyNoServer } from '../../tools/own-server.ts';
import { MutatedTree, SEEDED_BUGS, type SeededBug } from './seeded-bugs.ts';

const LOOK_EVERY_MS = 1_000;
/** Far more time than a bug needs on a quiet machine. On a busy one, the torture test sends fewer requests a second. */
const LIMIT_MS = 300_000;
/** On a busy machine, the service and the faults need this time to stop. */
const STOPPING_MS = 120_000;

for (const kind of ['mariadb', 'mysql'] as const) {
  const bugs = SEEDED_BUGS.filter(({ server }) => server === kind);
  const isPossible = (await whyNoServer(kind)) === undefined;
  (isPossible ? describe : describe.skip)(`the torture test on ${kind} finds the bug:`, () => {
    const undos: Undos = [];
    let node: TortureNode;

    beforeAll(async () => {
      node = await TortureNode.start(kind, () => undefined);
    });
    afterEach(async () => {
      for (const undo of undos.splice(0).reverse()) await undo();
    });
    afterAll(async () => {
      await node.stop();
    });

    it.each(bugs)(
      '$name',
      async (bug) => {
        const tree = new MutatedTree(bug.replacements);
        undos.push(() => {
          tree.remove();
        });
        const found = await findViolation(bug, tree.folder, node, undos);
        const { rules } = bug;
        expect({ found, isExpected: found !== undefined && rules.includes(found.rule) }).toEqual({
          found,
          isExpected: true,
        });
      },
      LIMIT_MS + STOPPING_MS,
    );
  });
}

/** Runs the mutated service until it breaks an expected rule or the time is up. Returns that violation, else the first other one. */
async function findViolation(
  { rules, acts, hasOtherServer = false, requestTimeoutMs = REQUEST_TIMEOUT_MS }: SeededBug,
  source: string,
  node: TortureNode,
  undos: Undos,
): Promise<Violation | undefined> {
  const history = new History();
  const enough = new AbortController();
  let found: readonly Violation[] = [];
  let timer: NodeJS.Timeout;
  const lookIn = (pauseMs: number): void => {
    timer = setTimeout(() => {
      const begunAt = performance.now();
      found = violationsIn(history, requestTimeoutMs);
      if (found.some((violation) => rules.includes(violation.rule))) enough.abort();
      // The check takes longer as the history grows, and the callers run in this process.
      lookIn(Math.max(LOOK_EVERY_MS, 20 * (performance.now() - begunAt)));
    }, pauseMs);
  };
  lookIn(LOOK_EVERY_MS);
  undos.push(() => {
    clearTimeout(timer);
  });
  const settings = { seed: 1, operations: Infinity, minutes: LIMIT_MS / 60_000, callers: 8, acts };
  const otherServer = hasOtherServer
    ? await TortureNode.start(node.kind, () => undefined)
    : undefined;
  if (otherServer !== undefined) undos.push(() => otherServer.stop());
  const service = { source, isAudited: false, otherServer, requestTimeoutMs };
  await torture(settings, {
    ...{ nodes: [node], service, history, undos },
    interruption: enough.signal,
    say: () => undefined,
  });
  const all = found.length > 0 ? found : violationsIn(history, requestTimeoutMs);
  return all.find((violation) => rules.includes(violation.rule)) ?? all[0];
}

function violationsIn({ events }: History, requestTimeoutMs: number): readonly Violation[] {
  return check(events, { requestTimeoutMs }).violations;
}
