/** Starts and stops test reads, shows what has come at most once for each frame of the screen, and keeps the last reads. */
import { useCallback, useEffect, useRef, useState } from 'react';

import { t } from '../../text';
import { add, emptyReading, readEvents, type Reading } from './reading';

/** Reads that are kept of a stream, and of all streams together: one may have 50 MB of answers. */
export const MOST_OF_STREAM = 3;
const MOST_READS = 9;

/** A test read. `place`: that of its stream in the manifest; `endedMs` is null while it runs. */
export interface StreamRead {
  place: string | undefined;
  fromState: boolean;
  reading: Reading;
  startedMs: number;
  endedMs: number | null;
}

export interface ReadingState {
  /** The latest last. */
  reads: readonly StreamRead[];
  running: boolean;
  /** An error of the request itself; what went wrong with the API is in the reading. */
  error: unknown;
}

const IDLE: ReadingState = { reads: [], running: false, error: null };

export function useReading() {
  const [state, setState] = useState<ReadingState>(IDLE);
  const abort = useRef<AbortController | null>(null);

  const stop = useCallback(() => abort.current?.abort(), []);
  useEffect(() => stop, [stop]);

  const start = useCallback(async (path: string, body: unknown, stream: Pick<StreamRead, 'place' | 'fromState'>) => {
    abort.current?.abort();
    const controller = new AbortController();
    abort.current = controller;
    const reading = emptyReading();
    const read: StreamRead = { ...stream, reading: { ...reading }, startedMs: Date.now(), endedMs: null };
    let frame = 0;
    const show = (change: Partial<ReadingState> = {}) => {
      cancelAnimationFrame(frame);
      frame = 0;
      const endedMs = change.running === false ? Date.now() : null;
      // A copy of the outermost object, so that the page sees that something came.
      if (abort.current === controller) setState((before) => ({ ...before, reads: [...before.reads.slice(0, -1), { ...read, reading: { ...reading }, endedMs }], ...change }));
    };
    setState((before) => ({ reads: [...kept(before.reads, stream.place), read], running: true, error: null }));
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

/** The reads that stay beside a new one of a stream. */
export function kept(reads: readonly StreamRead[], place: string | undefined): StreamRead[] {
  const own = reads.filter((read) => read.place === place);
  const dropped = new Set(own.slice(0, Math.max(own.length - MOST_OF_STREAM + 1, 0)));
  return reads.filter((read) => !dropped.has(read)).slice(-(MOST_READS - 1));
}
