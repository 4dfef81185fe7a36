/** A time as its age; the exact time, in the viewer's zone, on hover and for screen readers. */
import { Text, Tooltip } from '@mantine/core';
import { useSyncExternalStore } from 'react';

import { exact, relative } from './format';

// One clock for all times of a page; it updates every ten seconds.
let now = Date.now();
const listeners = new Set<() => void>();
let timer: number | undefined;

function subscribe(listener: () => void): () => void {
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

export function Time({ ms }: { ms: number }) {
  const nowMs = useSyncExternalStore(subscribe, () => now);
  return (
    <Tooltip label={exact(ms)}>
      <Text span inherit>
        <time dateTime={new Date(ms).toISOString()}>{relative(ms, Math.max(nowMs, 0))}</time>
      </Text>
    </Tooltip>
  );
}
