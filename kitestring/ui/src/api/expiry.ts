/** An expired session: requests that the server refuses for it wait until the user has signed in again, then are repeated. */
import { useSyncExternalStore } from 'react';

let expired: { promise: Promise<void>; resolve: () => void } | null = null;
const listeners = new Set<() => void>();

/** Ask for a sign-in, and wait for it. */
export function untilSignedIn(): Promise<void> {
  if (!expired) {
    let resolve = () => {};
    const promise = new Promise<void>((settle) => {
      resolve = settle;
    });
    expired = { promise, resolve };
    listeners.forEach((notify) => notify());
  }
  return expired.promise;
}

/** The user has signed in: what waits goes on. */
export function signedIn(): void {
  const waiting = expired;
  expired = null;
  waiting?.resolve();
  listeners.forEach((notify) => notify());
}

export function useExpired(): boolean {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => expired !== null,
  );
}
