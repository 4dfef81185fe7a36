/** Marks a value that has changed while it was on the page: its ground lights up for a moment. */
import { type ReactNode, useEffect, useRef, useState } from 'react';

/** How often a value has changed since it was first shown. */
export function useChanges(value: unknown): number {
  const previous = useRef(value);
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    if (Object.is(previous.current, value)) return;
    previous.current = value;
    setChanges((times) => times + 1);
  }, [value]);
  return changes;
}

export function Changed({ value, children }: { value: unknown; children: ReactNode }) {
  const changes = useChanges(value);
  return (
    // Another key restarts the animation.
    <span key={changes} className={changes > 0 ? 'changed' : undefined}>
      {children}
    </span>
  );
}
