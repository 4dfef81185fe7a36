/** A time as its age; the exact time with its zone on hover. */
import { useSyncExternalStore } from 'react';

import { exact, relative } from './format';
import { Hint } from './Hint';
import { usePreferences } from './preferences';

// One clock for all times of a page; it updates every ten seconds.
let now = Date.now();
const listeners = new Set<() => void>();
let timer: number | undefined;

function subscribe(listener: () => void): () => void {
  // Stopped while no time was shown.
  if (listeners.size === 0) now = Date.now();
  listeners.add(listener);
  timer ??= window.setInterval(() => {
    now = Date.now();
    listeners.forEach((notify) => notify());
  }, 10_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      window.clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The time of the page's clock. */
export function useNow(): number {
  return Math.max(useSyncExternalStore(subscribe, () => now), 0);
}

/** A plain element until the pointer is on it: a list shows hundreds of times, and a tooltip each costs more than the row. */
export function Time({ ms }: { ms: number }) {
  const nowMs = useNow();
  usePreferences(); // the zone of the exact time
  // What has just happened may be later than the page's clock: it is no event of the future.
  const sinceMs = ms > nowMs ? Math.min(ms, Date.now()) : nowMs;
  return (
    <Hint label={() => exact(ms)}>
      <time dateTime={new Date(ms).toISOString()}>{relative(ms, Math.max(sinceMs, nowMs))}</time>
    </Hint>
  );
}
