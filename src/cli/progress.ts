import yoctoSpinner from 'yocto-spinner';
import type { Screen } from './cli-context.ts';
import { cut } from './table.ts';

/** A line on standard error that says what takes so long. */
export interface Progress {
  /** What it says from now on; shown only when it has taken longer than half a second. */
  tell(text: string): void;
  /** Removes it. */
  end(): void;
}

const AFTER_MS = 500;

/** Begins one. Where standard error is no terminal, it says its first sentence once. */
function startProgress(screen: Screen, text: string): Progress {
  const spinner = screen.isTerminal
    ? yoctoSpinner({ text, stream: screen.stream, handleSignals: false })
    : undefined;
  let last = text;
  const fitted = (): string => cut(last, (screen.columns() ?? Infinity) - 3);
  const timer = setTimeout(() => {
    if (spinner === undefined) screen.line(`${last} …`);
    else spinner.start(fitted());
  }, AFTER_MS);
  return {
    tell: (next) => {
      last = next;
      if (spinner?.isSpinning) spinner.text = fitted();
    },
    end: () => {
      clearTimeout(timer);
      spinner?.stop();
    },
  };
}

/** Runs the work with a progress line beside it. */
export async function withProgress<T>(
  screen: Screen,
  text: string,
  work: (progress: Progress) => Promise<T>,
): Promise<T> {
  const progress = startProgress(screen, text);
  try {
    return await work(progress);
  } finally {
    progress.end();
  }
}
