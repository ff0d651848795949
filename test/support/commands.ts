import { check } from '../../src/commands/check.ts';
import { init } from '../../src/commands/init.ts';

/** The exit code of a command and the text that it wrote. */
export interface Ran {
  readonly code: number;
  readonly output: string;
  readonly messages: string;
}

/** Runs `session-control check` in this process. */
export async function runCheck(
  file: string,
  environment: Readonly<Record<string, string>>,
  format: 'table' | 'json' = 'json',
  columns?: number,
): Promise<Ran> {
  const [output, messages] = [new Recorded(), new Recorded()];
  const screen = Object.assign(output, columns !== undefined && { columns });
  const code = await check(file, environment, format, { output: screen, messages });
  return { code, output: output.text, messages: messages.text };
}

/** Runs `session-control init` in this process. */
export function runInit(folder: string): Ran {
  const [output, messages] = [new Recorded(), new Recorded()];
  const code = init(folder, 'session-control', output, messages);
  return { code, output: output.text, messages: messages.text };
}

class Recorded {
  text = '';
  write(text: string): void {
    this.text += text;
  }
}
