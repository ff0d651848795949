import { it } from '@jest/globals';

/**
 * Defines a test that cannot run if `missing` gives a reason. Then the test is skipped with the reason in its name.
 * If `CI` is set, as in `.ci/run`, the test fails instead, because a skipped test proves nothing.
 */
export function itNeeds(
  missing: string | undefined,
  name: string,
  test: () => void | Promise<void>,
  timeoutMs?: number,
): void {
  if (missing === undefined) {
    it(name, test, timeoutMs);
    return;
  }
  const isRequired = (process.env['CI'] ?? '') !== '';
  if (!isRequired) it.skip(`${name} (skipped: ${missing})`, test);
  else {
    it(name, () => {
      throw new Error(missing);
    });
  }
}
