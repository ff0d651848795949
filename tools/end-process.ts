import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Kills a process and resolves when it has ended. */
export async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  child.ref();
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** True if the process has ended. */
export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
