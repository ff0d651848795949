import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** A child process that answers questions. It ends with this process. */
export class Child<Questions extends Record<string, (...args: never[]) => unknown>> {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;
  #isStopped = false;

  /** Starts the program in `file`, a path relative to this file. */
  constructor(file: string) {
    this.#process = fork(fileURLToPath(new URL(file, import.meta.url)), {
      execArgv: ['--import', 'tsx'],
      // JSON would make null of an undefined argument.
      serialization: 'advanced',
    });
    this.#process.on('message', (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    this.#process.on('exit', (code) => {
      const error = `${file} has ended with ${String(code)}`;
      for (const settle of this.#waiting.values()) settle({ id: 0, error });
      this.#waiting.clear();
    });
  }

  /** The process id. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Calls a function in the child process. Rejects with its error, or if the process ends. Never settles after `stop`. */
  async ask<Name extends keyof Questions & string>(
    name: Name,
    ...args: Parameters<Questions[Name]>
  ): Promise<Awaited<ReturnType<Questions[Name]>>> {
    this.#lastId += 1;
    const id = this.#lastId;
    const { result, error } = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#process.send({ id, name, args }, (failure) => {
        if (failure !== null) resolve({ id, error: failure.message });
      });
    });
    // After `stop`, an error about the ended process would hide the reason for the stop.
    if (this.#isStopped) await new Promise(() => undefined);
    if (error !== undefined) throw new Error(error);
    return result as Awaited<ReturnType<Questions[Name]>>;
  }

  /** Kills the process, and resolves when it has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }
}

/** In the child process: answers questions with these functions, and exits when the parent is gone. */
export function answerParent(answers: Record<string, (...args: never[]) => unknown>): void {
  // A Ctrl-C reaches this process too, but the parent stops it in its own time.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => undefined);
  process.on('disconnect', () => process.exit());
  process.on('message', (question: { id: number; name: string; args: never[] }) => {
    const { id, name, args } = question;
    void Promise.resolve()
      .then(() => answers[name]?.(...args))
      .then(
        (result) => process.send?.({ id, result }),
        (error: unknown) => process.send?.({ id, error: String(error) }),
      );
  });
}
