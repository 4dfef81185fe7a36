/**
 * The text of a field that searches a list: shown as it is typed, applied after a pause.
 *
 * It follows what is applied elsewhere: Back and Forward, a saved filter, a cleared one.
 */
import { useDebouncedCallback } from '@mantine/hooks';
import { useEffect, useRef, useState } from 'react';

const PAUSE_MS = 250;

export function useSearchText(applied: string, apply: (text: string) => void): [string, (text: string) => void] {
  const [typed, setTyped] = useState(applied);
  // What this field applied last: another text comes from elsewhere.
  const own = useRef(applied);
  const applyLater = useDebouncedCallback((text: string) => {
    own.current = text.trim();
    apply(text.trim());
  }, PAUSE_MS);
  useEffect(() => {
    if (applied === own.current) return;
    own.current = applied;
    applyLater.cancel();
    setTyped(applied);
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [applied]);
  const type = (text: string) => {
    setTyped(text);
    applyLater(text);
  };
  return [typed, type];
}
