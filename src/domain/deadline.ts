import { ServiceError } from '../errors.ts';

/** The time by which an action must end, in milliseconds of `performance.now()`. */
export type Deadline = number;

/** The longest delay of a Node.js timer, in milliseconds. */
const LONGEST_MS = 2 ** 31 - 1;

/** Returns the error for a request that has reached its deadline. */
export function limitReached(): ServiceError {
  return new ServiceError('node_unavailable', {
    'en-us': 'The request reached its time limit.',
    'zh-cn': '请求已达到时间限制。',
  });
}

/** Returns the time until the deadline, in milliseconds, at least 0 and at most the longest delay of a timer. */
export function leftUntil(deadline: Deadline): number {
  return Math.min(Math.max(deadline - performance.now(), 0), LONGEST_MS);
}

/** Returns the result of the work, or throws `late()` at the deadline. The work continues after the deadline. */
export function withDeadline<T>(
  deadline: Deadline,
  work: Promise<T>,
  late: () => Error = limitReached,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(late());
    }, leftUntil(deadline));
    const inTime = (): void => {
      clearTimeout(timer);
    };
    void work.then(resolve, reject).then(inTime, inTime);
  });
}

/**
 * Returns the time to wait before the next attempt, in milliseconds: `firstMs`, doubled for each failure, at most `longestMs`.
 * Subtracts a random part of at most half, so that replicas do not retry together.
 */
export function backoffMs(failures: number, firstMs: number, longestMs: number): number {
  // 2 ** 1024 is Infinity, and 0 * Infinity is NaN.
  const wholeMs = Math.min(firstMs * 2 ** Math.min(failures, 32), longestMs);
  return wholeMs * (0.5 + Math.random() / 2);
}
