import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { isNativeError } from 'node:util/types';
import { verify, type AuditReport } from './verify.ts';

const USAGE = 'Usage: npm run audit -- verify FILE';
const EX_USAGE = 64;
const EX_NOINPUT = 66;

const [command, file, ...rest] = process.argv.slice(2);
if (command !== 'verify' || file === undefined || rest.length > 0) {
  process.stderr.write(`${USAGE}\n`);
  process.exitCode = EX_USAGE;
} else {
  try {
    const report = await verify(createInterface({ input: createReadStream(file) }));
    process.stdout.write(`${told(report).join('\n')}\n`);
    process.exitCode = isSound(report) ? 0 : 1;
  } catch (error) {
    const reason = isNativeError(error) ? error.message : String(error);
    process.stderr.write(`The file cannot be read: ${reason}\n`);
    process.exitCode = EX_NOINPUT;
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
