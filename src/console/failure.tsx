import { SessionControlError } from '../client/index.ts';
import { useWords } from './words.ts';

/** Shows why a request failed, in the words of the service. */
export function Failure({
  error,
  onRetry,
}: {
  readonly error: Error;
  readonly onRetry?: (() => void) | undefined;
}) {
  const words = useWords();
  return (
    <div role="alert" className="error">
      <p>{messageOf(error, words.error.unreachable)}</p>
      {onRetry && (
        <button type="button" onClick={onRetry}>
          {words.retry}
        </button>
      )}
    </div>
  );
}

/** Returns the message of an error: the sentence of the service, or ours if the service did not answer. */
export function messageOf(error: unknown, unreachable: string): string {
  if (error instanceof SessionControlError && error.kind === 'unreachable') return unreachable;
  return error instanceof Error ? error.message : String(error);
}
