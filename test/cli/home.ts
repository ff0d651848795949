import { afterAll } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReadStream } from 'node:tty';
import { Readable } from 'node:stream';
import pico from 'picocolors';
import { run } from '../../src/cli/program.ts';
import type { Screen } from '../../src/cli/cli-context.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** The exit code of a command and the text that it wrote. */
export interface Done {
  readonly code: number;
  readonly output: string;
  readonly messages: string;
}

/** A home folder whose commands run in this process without a terminal. The folder is removed after the tests of the file. */
export class Home {
  readonly folder = mkdtempSync(join(tmpdir(), 'sessionctl-home-'));
  readonly configFile = join(this.folder, '.config/sessionctl/config.yaml');
  environment: Record<string, string> = {};

  constructor() {
    folders.push(this.folder);
  }

  async run(words: readonly string[], more: RunSettings = {}): Promise<Done> {
    const [output, messages] = [new Recorded(), new Recorded(more.onMessage)];
    const code = await run(words, '1.2.3', {
      environment: { PATH: process.env['PATH'], ...this.environment },
      homeFolder: this.folder,
      input: Readable.from([more.input ?? '']) as unknown as ReadStream,
      output: output.screen,
      messages: messages.screen,
      signal: more.signal ?? new AbortController().signal,
    });
    return { code, output: output.text, messages: messages.text };
  }
}

interface RunSettings {
  readonly input?: string;
  readonly signal?: AbortSignal;
  /** Called with each text on standard error. */
  readonly onMessage?: (text: string) => void;
}

class Recorded {
  text = '';
  readonly #onText: ((text: string) => void) | undefined;

  constructor(onText?: (text: string) => void) {
    this.#onText = onText;
  }

  readonly #add = (text: string): void => {
    this.text += text;
    this.#onText?.(text);
  };

  readonly screen = {
    isTerminal: false,
    colors: pico.createColors(false),
    isClosed: () => false,
    columns: () => undefined,
    rows: () => undefined,
    write: this.#add,
    line: (text = '') => {
      this.#add(`${text}\n`);
    },
  } as unknown as Screen;
}
