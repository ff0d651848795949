import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Ends a process at once, and resolves when it has ended. */
export async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  child.ref();
  child.kill('SIGKILL');
  await once(child, 'exit');
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
