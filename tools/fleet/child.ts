import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** A process of ours that does what it is asked, one answer a question. It ends with us. */
export class Child<Questions extends Record<string, (...args: never[]) => unknown>> {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;
  #isStopped = false;

  /** `file` stands beside this one. */
  constructor(file: string) {
    this.#process = fork(fileURLToPath(new URL(file, import.meta.url)));
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

  get pid(): number {
    return this.#process.pid ?? 0;
  }

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
    // Who stopped it wants no more answers, nor a complaint.
    if (this.#isStopped) await new Promise(() => undefined);
    if (error !== undefined) throw new Error(error);
    return result as Awaited<ReturnType<Questions[Name]>>;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }
}

/** In the process itself: answers with these functions until the parent is gone. */
export function answerParent(answers: Record<string, (...args: never[]) => unknown>): void {
  // A Ctrl-C is for the parent alone, which ends us.
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
