import { it } from '@jest/globals';

/**
 * Defines a test that cannot run where `missing` says why. There it is skipped with the reason in its name, and fails where `CI` is set,
 * as `.ci/run` does: what was not tried is not shown.
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
