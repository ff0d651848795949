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

/** A copy of the repository without what it builds, and a home with its commands on the PATH, in which to do what documents say. */
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
    // An answer that is an error is to be a failure, too.
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

  /** Runs a script of the shell to its end, as somebody without a terminal. */
  async run(script: string, folder = this.home): Promise<Ended> {
    const { ended } = this.#start(script, folder);
    return await ended;
  }

  /** Runs a script that would go on for ever until it has written this, and stops it then. Resolves when nothing of it runs any more. */
  async runUntil(said: RegExp, script: string, folder = this.home): Promise<Ended> {
    const { told, isOver, ended, interrupt } = this.#start(script, folder);
    try {
      await until(`it says ${said.source}`, () => isOver() || said.test(told()));
    } finally {
      if (!isOver()) interrupt();
    }
    return await ended;
  }

  /** Puts this text of a file in the home in the place of that one. Throws when the file does not hold it. */
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
      told: () => output + messages,
      isOver: () => child.exitCode !== null || child.signalCode !== null,
      ended,
      // As Ctrl-C does: to all that the script has started.
      interrupt: () => {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
      },
    };
  }
}
