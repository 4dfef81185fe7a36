/** Starts and stops a test read, and shows what has come at most once for each frame of the screen. */
import { useCallback, useEffect, useRef, useState } from 'react';

import { t } from '../../text';
import { add, emptyReading, readEvents, type Reading } from './reading';

export interface ReadingState {
  reading: Reading | null;
  running: boolean;
  startedMs: number;
  /** An error of the request itself; what went wrong with the API is in the reading. */
  error: unknown;
}

const IDLE: ReadingState = { reading: null, running: false, startedMs: 0, error: null };

export function useReading() {
  const [state, setState] = useState<ReadingState>(IDLE);
  const abort = useRef<AbortController | null>(null);

  const stop = useCallback(() => abort.current?.abort(), []);
  useEffect(() => stop, [stop]);

  const start = useCallback(async (path: string, body: unknown) => {
    abort.current?.abort();
    const controller = new AbortController();
    abort.current = controller;
    const reading = emptyReading();
    let frame = 0;
    const show = (change: Partial<ReadingState> = {}) => {
      cancelAnimationFrame(frame);
      frame = 0;
      // A copy of the outermost object, so that the page sees that something came.
      if (abort.current === controller) setState((before) => ({ ...before, reading: { ...reading }, ...change }));
    };
    setState({ reading: { ...reading }, running: true, startedMs: Date.now(), error: null });
    try {
      await readEvents(path, body, controller.signal, (event) => {
        add(reading, event);
        if (frame === 0) frame = requestAnimationFrame(() => show());
      });
      if (!reading.ended) {
        reading.error = t('The answer broke off before the read had ended');
        reading.hint = t('Read again. If it happens each time, look at the log of the server.');
      }
      show({ running: false });
    } catch (error) {
      const stopped = controller.signal.aborted;
      if (stopped) reading.limited.push('stopped');
      show({ running: false, error: stopped ? null : error });
    }
  }, []);

  return { ...state, start, stop };
}
