/** Replaces `node:timers/promises` in the client library. Resolves after a time in milliseconds, or rejects with the signal's reason. */
export function setTimeout(
  ms: number,
  value?: undefined,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<undefined> {
  return new Promise((resolve, reject) => {
    const timer = globalThis.setTimeout(() => {
      resolve(value);
    }, ms);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}
