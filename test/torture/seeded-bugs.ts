import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Act } from '../../tools/torture/nemesis.ts';
import type { Rule } from '../../tools/torture/view.ts';

/** A text that a file under src/ has exactly once, and its replacement. */
type Replacement = readonly [file: string, text: string, instead: string];

/** A bug that is put into a copy of the service, and the rules that the torture test must find broken. */
export interface SeededBug {
  readonly name: string;
  readonly replacements: readonly Replacement[];
  readonly server: 'mariadb' | 'mysql';
  readonly acts: readonly Act[];
  /** True if the spare port of the node belongs to another server. */
  readonly hasOtherServer?: boolean;
  /** The time limit of a request in milliseconds, if the server must start again within one request. */
  readonly requestTimeoutMs?: number;
  /** The rules that the bug may break first. */
  readonly rules: readonly Rule[];
}

/** Far longer than the start of a server on a busy machine. */
const RESTART_TIMEOUT_MS = 20_000;

const NO_LIST_CHECK: readonly Replacement[] = [
  [
    'domain/batch-outcomes.ts',
    'const session = snapshot.get(id);',
    `const session = { user: '', host: '', db: '', command: '', time: 0n, state: '', info: '', ...snapshot.get(id), id };`,
  ],
  [
    'domain/session-snapshot.ts',
    'return present !== undefined && isSameSession(present, session);',
    'return present?.id !== 0n;',
  ],
];

/** Bugs that break the promises on purpose. */
export const SEEDED_BUGS: readonly SeededBug[] = [
  {
    name: 'a KILL is sent for each requested id without a look at the process list',
    replacements: NO_LIST_CHECK,
    // MySQL cuts ids to 32 bits.
    server: 'mysql',
    acts: ['pause'],
    rules: ['a bystander died'],
  },
  {
    name: 'an id goes through a double',
    replacements: [['http/body.ts', '? BigInt(digits) :', '? BigInt(Number(digits)) :']],
    server: 'mariadb',
    acts: ['pause'],
    rules: ['an id is not accounted for'],
  },
  {
    name: 'a session counts as killed if the connection broke at the KILL',
    replacements: [
      [
        'mysql/kill.ts',
        `return { outcome: 'unknown', trouble: nodeTrouble`,
        `return { outcome: 'killed', trouble: nodeTrouble`,
      ],
    ],
    server: 'mariadb',
    acts: ['fault'],
    rules: ['killed, but it lives'],
  },
  {
    name: 'a session that the server does not know counts as killed',
    replacements: [
      ...NO_LIST_CHECK,
      ['mysql/kill.ts', `return { outcome: 'not_found' };`, `return { outcome: 'killed' };`],
    ],
    server: 'mariadb',
    acts: ['pause'],
    rules: ['killed, but it lives'],
  },
  {
    name: 'a KILL without an answer is sent again on another connection',
    replacements: [
      ['mysql/pool/node-health.ts', "if (this.state !== 'open') return;", 'return;'],
      [
        'domain/kill-batch.ts',
        'if (!isOlderThanRequest || !isTheSame) throw',
        'if (this.#first === undefined && !(isOlderThanRequest && isTheSame)) throw',
      ],
      [
        'domain/kill-batch.ts',
        'const result = await snapshot.kill(session, this.#request.deadline);',
        'const result = await snapshot.connection.kill(session, { sendBy: Infinity, deadline: this.#request.deadline });',
      ],
      [
        'domain/kill-batch.ts',
        'this.#unanswered.push({ session, sentOver: snapshot.connection, list: snapshot.list });',
        'this.#pending.unshift(session);',
      ],
      [
        'domain/kill-batch.ts',
        '        break;\n      }\n      if (this.#isLate()) break;',
        '        attempts = 0;\n        await new Promise((again) => setTimeout(again, 50));\n      }\n      if (this.#isLate()) break;',
      ],
    ],
    server: 'mariadb',
    acts: ['crash at KILL'],
    requestTimeoutMs: RESTART_TIMEOUT_MS,
    rules: ['a bystander died', 'an internal thread died'],
  },
  {
    name: 'the client filter accepts threads without a port and connecting threads',
    replacements: [
      [
        'domain/client-filter.ts',
        `if (clientPort(host ?? '') !== undefined) return true;`,
        `if (host !== '') return true;`,
      ],
      ['domain/internal-names.ts', `  'connect',\n`, ''],
    ],
    server: 'mariadb',
    acts: ['pause'],
    rules: ['an internal thread died'],
  },
  {
    name: 'a KILL is sent over another connection than the one that read the list',
    replacements: [
      [
        'mysql/control-connection.ts',
        'const result = await killSession(this.#target, session, sendLimits, statement);',
        `const { openConnection } = await import('./driver/open-connection.ts');
    const { deadline } = limits;
    const { node } = this.#target;
    let connection = await openConnection(node, node, deadline).catch(() => undefined);
    while (connection === undefined && performance.now() < deadline) {
      await new Promise((again) => setTimeout(again, 50));
      connection = await openConnection(node, node, deadline).catch(() => undefined);
    }
    const target = { ...this.#target, ...(connection && { connection }) };
    const result = await killSession(target, session, sendLimits, statement);
    connection?.close();`,
      ],
    ],
    server: 'mariadb',
    acts: ['crash at list'],
    requestTimeoutMs: RESTART_TIMEOUT_MS,
    // In the new incarnation, any session or internal thread can have the id.
    rules: ['a bystander died', 'an internal thread died'],
  },
  {
    name: 'a spare port is used that belongs to another server',
    replacements: [
      [
        'mysql/node-identity.ts',
        `if (port === 'spare') this.#requireSameAsMain(incarnation, identity, node);`,
        '',
      ],
      [
        'mysql/node-identity.ts',
        'return this.#main === undefined || isSameServer(this.#main, incarnation, incarnation.begunBy);',
        'return incarnation !== undefined;',
      ],
    ],
    server: 'mariadb',
    acts: ['shut'],
    hasOtherServer: true,
    rules: ['not found, but it lives', 'killed, but it lives'],
  },
  {
    name: 'a KILL is sent to a proxy that answers it itself',
    replacements: [
      [
        'mysql/node-identity.ts',
        'if (BigInt.asUintN(32, ownId) !== greetingId) this.#agreed = new Set();',
        'if (greetingId < 0n) this.#agreed = new Set();',
      ],
    ],
    server: 'mysql',
    acts: ['session proxy'],
    rules: ['killed, but it lives'],
  },
];

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/** A copy of this checkout with replacements. Throws if a file does not have a text exactly once. */
export class MutatedTree {
  readonly folder = mkdtempSync(join(tmpdir(), 'session-control-mutant-'));

  constructor(replacements: readonly Replacement[]) {
    cpSync(join(REPOSITORY, 'src'), join(this.folder, 'src'), { recursive: true });
    for (const name of ['node_modules', 'package.json', 'tsconfig.json']) {
      symlinkSync(join(REPOSITORY, name), join(this.folder, name));
    }
    for (const replacement of replacements) this.#replace(replacement);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  #replace([file, text, instead]: Replacement): void {
    const path = join(this.folder, 'src', file);
    const parts = readFileSync(path, 'utf8').split(text);
    if (parts.length !== 2) {
      throw new Error(`src/${file} has this ${parts.length - 1} times instead of once: ${text}`);
    }
    writeFileSync(path, parts.join(instead));
  }
}
