import yoctoSpinner from 'yocto-spinner';
import type { Screen } from './cli-context.ts';
import { cut } from './table.ts';

/** A progress line on standard error. */
export interface Progress {
  /** Changes the text. */
  update(text: string): void;
  /** Removes the line. */
  end(): void;
}

const AFTER_MS = 500;

/** Starts a progress line that appears after 500 ms. If standard error is no terminal, the text is printed once. */
function startProgress(screen: Screen, text: string): Progress {
  const { showProgress } = screen;
  if (showProgress !== undefined) {
    showProgress(text);
    return { update: showProgress, end: () => undefined };
  }
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
    update: (next) => {
      last = next;
      if (spinner?.isSpinning) spinner.text = fitted();
    },
    end: () => {
      clearTimeout(timer);
      spinner?.stop();
    },
  };
}

/** Runs the work and shows a progress line until the work ends. */
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
