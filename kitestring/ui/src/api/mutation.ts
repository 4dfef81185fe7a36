/**
 * Every change is sent once: two equal ones at the same time are one, and a retry has the key of the first attempt.
 *
 * The server runs a request once for each `Idempotency-Key` and answers a repetition as it answered the first.
 */

const RETRY_MS = 1_000;
const MAX_RETRIES = 3;

export interface Attempt<T> {
  /** The answer; null where nobody knows whether the request was received or has ended. */
  answer: T | null;
  /** The error to throw if there is no further attempt. */
  error?: unknown;
}

interface Running {
  key: string;
  answer: Promise<unknown>;
}

const running = new Map<string, Running>();
/** The keys of requests that ended without an answer: who presses the button again repeats the same request. */
const unanswered = new Map<string, string>();

/** A random key. `crypto.randomUUID` exists only on https and on this machine. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Send a change. `send` makes one attempt with the key; `name` tells requests apart: method, address and body. */
export function sendOnce<T>(name: string, send: (key: string) => Promise<Attempt<T>>, retryMs = RETRY_MS): Promise<T> {
  const same = running.get(name);
  if (same) return same.answer as Promise<T>;
  const key = unanswered.get(name) ?? newKey();
  const answer = attempts(name, key, send, retryMs).finally(() => running.delete(name));
  running.set(name, { key, answer });
  return answer;
}

async function attempts<T>(name: string, key: string, send: (key: string) => Promise<Attempt<T>>, retryMs: number): Promise<T> {
  unanswered.set(name, key);
  for (let count = 1; ; count++) {
    let attempt: Attempt<T>;
    try {
      attempt = await send(key);
    } catch (error) {
      unanswered.delete(name);
      throw error;
    }
    if (attempt.answer !== null) {
      unanswered.delete(name);
      return attempt.answer;
    }
    if (count >= MAX_RETRIES) throw attempt.error;
    await new Promise((resolve) => setTimeout(resolve, retryMs * count));
  }
}
