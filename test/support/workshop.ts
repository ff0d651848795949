import { spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { Ended } from './sessionctl.ts';
import { until } from './until.ts';

/** A copy of the repository without its build, and a home folder with its commands on the PATH, to run the commands of documents. */
export class Workshop {
  readonly home = mkdtempSync(join(tmpdir(), 'session-control-workshop-'));
  readonly tree = join(this.home, 'tree');
  readonly environment: Record<string, string>;

  constructor(environment: Readonly<Record<string, string>>) {
    const left = new Set(['.git', 'node_modules', 'dist', 'coverage']);
    cpSync('.', this.tree, { recursive: true, filter: (path) => !left.has(basename(path)) });
    symlinkSync(resolve('node_modules'), join(this.tree, 'node_modules'));
    const bin = join(this.home, 'bin');
    mkdirSync(bin);
    for (const [command, file] of Object.entries(this.#commands())) {
      const entry = join(bin, command);
      writeFileSync(entry, `#!/bin/sh\nexec node '${join(this.tree, file)}' "$@"\n`);
      chmodSync(entry, 0o755);
    }
    // With `fail`, curl exits with an error if the answer is one.
    writeFileSync(join(this.home, '.curlrc'), 'fail\nsilent\nshow-error\n');
    const inherited = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
    this.environment = {
      ...Object.fromEntries(inherited.map(([name, value]) => [name, value ?? ''])),
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      HOME: this.home,
      CURL_HOME: this.home,
      npm_config_offline: 'true',
      npm_config_update_notifier: 'false',
      ...environment,
    };
  }

  /** Runs a shell script to its end without a terminal. */
  async run(script: string, folder = this.home): Promise<Ended> {
    const { ended } = this.#start(script, folder);
    return await ended;
  }

  /** Runs a script that does not end by itself, and interrupts it once it has written a text. Resolves when the script has ended. */
  async runUntil(wanted: RegExp, script: string, folder = this.home): Promise<Ended> {
    const { written, isOver, ended, interrupt } = this.#start(script, folder);
    try {
      await until(`the script writes ${wanted.source}`, () => isOver() || wanted.test(written()));
    } finally {
      if (!isOver()) interrupt();
    }
    return await ended;
  }

  /** Replaces a text in a file of the home folder. Throws if the file does not hold the text. */
  change(file: string, [text, instead]: readonly [string, string]): void {
    const path = join(this.home, file);
    const before = readFileSync(path, 'utf8');
    if (!before.includes(text)) throw new Error(`${file} does not hold ${text}`);
    writeFileSync(
      path,
      before.replace(text, () => instead),
    );
  }

  remove(): void {
    rmSync(this.home, { recursive: true });
  }

  #commands(): Readonly<Record<string, string>> {
    const manifest = readFileSync(join(this.tree, 'package.json'), 'utf8');
    return (JSON.parse(manifest) as { bin: Record<string, string> }).bin;
  }

  #start(script: string, folder: string) {
    const child = spawn('bash', ['-ec', script], {
      cwd: folder,
      env: this.environment,
      detached: true,
    });
    child.stdin.end();
    let [output, messages] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (messages += text));
    const ended = new Promise<Ended>((done) => {
      child.on('close', (code) => {
        done({ code, output, messages });
      });
    });
    return {
      written: () => output + messages,
      isOver: () => child.exitCode !== null || child.signalCode !== null,
      ended,
      // Like Ctrl-C, the signal goes to all processes of the script.
      interrupt: () => {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
      },
    };
  }
}
