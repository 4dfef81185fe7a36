/**
 * Whether the server answers. A request that got no answer starts a probe; while the probe gets none either, the
 * interface says so, reads wait, and the server is asked until it is back.
 */
import { useSyncExternalStore } from 'react';

const PROBE = '/api/kitestring/v1/session/ways';
const FIRST_MS = 300;
const LONGEST_MS = 5_000;

type Probe = () => Promise<boolean>;

let answering = true;
let probing: Promise<boolean> | null = null;
const listeners = new Set<() => void>();
const comebacks = new Set<() => void>();

async function ask(): Promise<boolean> {
  try {
    const response = await fetch(PROBE, { cache: 'no-store' });
    // A proxy in front of a stopped server answers in its place.
    return response.status !== 502 && response.status !== 504;
  } catch {
    return false;
  }
}

function set(value: boolean): void {
  if (answering === value) return;
  answering = value;
  listeners.forEach((notify) => notify());
  if (value) comebacks.forEach((notify) => notify());
}

/** Wait until the server answers, at once where it does. False where it has answered all the time. */
export function untilAnswer(probe: Probe = ask, pause: (ms: number) => Promise<void> = sleep): Promise<boolean> {
  probing ??= (async () => {
    let silent = false;
    for (let wait = FIRST_MS; !(await probe()); wait = Math.min(wait * 1.6, LONGEST_MS)) {
      silent = true;
      set(false);
      await pause(wait);
    }
    return silent;
  })().finally(() => {
    probing = null;
    set(true);
  });
  return probing;
}

/** Wait for some time, or until the browser says that it has a network again. */
function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      window.removeEventListener('online', done);
      resolve();
    }
    window.addEventListener('online', done);
  });
}

/** Run this each time the server is back after a silence. */
export function onComeback(listener: () => void): () => void {
  comebacks.add(listener);
  return () => comebacks.delete(listener);
}

export function isAnswering(): boolean {
  return answering;
}

export function useServerAnswers(): boolean {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    isAnswering,
  );
}

/** Ask at once when the browser loses its network, instead of at the next request. */
export function watchNetwork(): void {
  window.addEventListener('offline', () => void untilAnswer());
}
