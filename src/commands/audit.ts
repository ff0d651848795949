import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { isNativeError } from 'node:util/types';
import { verify, type AuditReport } from '../audit/verify.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';

/** Where text goes. */
interface Output {
  write(text: string): unknown;
}

/** Reads an audit file, and tells what it holds and what is wrong with it: then the exit code is 1, and 66 when it cannot be read. */
export async function verifyAudit(
  file: string,
  output: Output,
  messages: Output,
): Promise<ExitCode> {
  try {
    const report = await verify(createInterface({ input: createReadStream(file) }));
    output.write(`${told(report).join('\n')}\n`);
    return isSound(report) ? EXIT.done : EXIT.trouble;
  } catch (error) {
    const reason = isNativeError(error) ? error.message : String(error);
    messages.write(`session-control: ${file} cannot be read: ${reason}\n`);
    return EXIT.noInput;
  }
}

function told({ records, torn, withoutOutcome, withoutIntent }: AuditReport): string[] {
  const counts = Object.entries(records).map(([kind, count]) => `${count} ${kind}`);
  return [
    `Records: ${counts.join(', ') || 'none'}.`,
    ...torn.map((line) => `Line ${line} is torn.`),
    ...withoutOutcome.map(
      ({ requestId, nodeId, time, ids }) =>
        `Without an outcome: request ${requestId} of ${time} on node ${nodeId}, sessions ${ids.join(', ')}.`,
    ),
    ...withoutIntent.map(
      ({ line, id }) => `Line ${line}: an outcome of session ${id}, but no intent.`,
    ),
    ...(isSound({ records, torn, withoutOutcome, withoutIntent })
      ? ['Every intent has its outcome, and no line is torn.']
      : []),
  ];
}

function isSound({ torn, withoutOutcome, withoutIntent }: AuditReport): boolean {
  return torn.length + withoutOutcome.length + withoutIntent.length === 0;
}
