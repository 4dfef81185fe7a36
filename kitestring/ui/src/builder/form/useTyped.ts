/**
 * A text that is typed into a field: what the field shows while it has the focus, whatever the document makes of it. The
 * document gets it when the typing rests, or the focus leaves: the page is not drawn again for each key.
 */
import { startTransition, useEffect, useRef, useState } from 'react';

const REST_MS = 150;

/** `leave`: what happens with the text when the focus goes; true where that is instead of `commit`. */
export function useTyped(value: string, commit: (text: string) => void, leave?: (text: string) => boolean) {
  const [typed, setTyped] = useState<string>();
  const latest = useRef({ commit, waiting: undefined as string | undefined, timer: undefined as ReturnType<typeof setTimeout> | undefined });
  latest.current.commit = commit;

  function flush() {
    const { current } = latest;
    clearTimeout(current.timer);
    const text = current.waiting;
    current.waiting = undefined;
    if (text !== undefined) current.commit(text);
  }

  // A field that goes, such as with another part of the connector, leaves nothing behind.
  useEffect(() => flush, []); // eslint-disable-line react-hooks/exhaustive-deps

  return {
    value: typed ?? value,
    onFocus: () => setTyped(value),
    onChange: (event: { currentTarget: { value: string } }) => {
      setTyped(event.currentTarget.value);
      const { current } = latest;
      current.waiting = event.currentTarget.value;
      clearTimeout(current.timer);
      current.timer = setTimeout(() => startTransition(flush), REST_MS);
    },
    onBlur: () => {
      if (typed !== undefined && leave?.(typed)) {
        clearTimeout(latest.current.timer);
        latest.current.waiting = undefined;
      } else flush();
      // Behind what is still being drawn: the field would show the value before for a moment.
      startTransition(() => setTyped(undefined));
    },
  };
}
