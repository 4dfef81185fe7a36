/**
 * A part of an attempt's log, as long as it may be: opened at a line, at its first error, at its end, or at its
 * beginning; read on in both directions, and followed while the attempt runs.
 */
import { useCallback, useEffect, useRef, useState } from 'react';

import { api, OWN } from '../api/client';
import type { LogEntry, LogPage } from '../api/schema.gen';

export interface Line extends LogEntry {
  place: number;
}

interface LogState {
  lines: Line[];
  /** The place where the part begins, and from which to read on. */
  start: number;
  place: number;
  more: boolean;
  loaded: boolean;
  error: unknown;
  /** The line that is marked, and how often one was chosen: the view then scrolls to it. */
  marked: number | null;
  jumps: number;
}

export interface LogFilter {
  level: string;
  text: string;
}

const PAGE = 2000;
/** Bytes before the end, or before a line, at which a part begins. */
const BEFORE = 48_000;
const EARLIER = 256_000;
/** A view that follows keeps so many lines; one that is read keeps more. */
const MAX_FOLLOWED = 20_000;
const MAX_LINES = 100_000;
const POLL_MS = 1000;
const EMPTY: LogState = { lines: [], start: 0, place: 0, more: false, loaded: false, error: null, marked: null, jumps: 0 };

export const logPath = (jobId: number, attempt: number) => `${OWN}/jobs/${jobId}/attempts/${attempt}/log`;

interface Options extends LogFilter {
  jobId: number;
  attempt: number;
  running: boolean;
  failed: boolean;
  line?: number;
}

export function useLog({ jobId, attempt, level, text, running, failed, line }: Options) {
  const [log, setLog] = useState<LogState>(EMPTY);
  const state = useRef<LogState>(EMPTY);
  const busy = useRef(false);
  const opened = useRef({ running, failed, line });
  const path = logPath(jobId, attempt);

  const show = useCallback((change: Partial<LogState>) => {
    state.current = { ...state.current, ...change };
    setLog(state.current);
  }, []);

  const read = useCallback(
    (query: { place: number; until?: number; level?: string; limit?: number }, signal?: AbortSignal) =>
      api.get<LogPage>(path, { level, text, limit: PAGE, ...query }, signal),
    [path, level, text],
  );

  /** Show the part around a place, with this place marked. */
  const openAt = useCallback(
    async (marked: number, signal?: AbortSignal) => {
      const part = await read({ place: Math.max(0, marked - BEFORE) }, signal);
      show({ lines: part.entries as Line[], start: part.start, place: part.place, more: part.more, loaded: true, error: null, marked, jumps: state.current.jumps + 1 });
    },
    [read, show],
  );

  useEffect(() => {
    const abort = new AbortController();
    const { running: runs, failed: fails, line: lineNumber } = opened.current;
    state.current = { ...EMPTY, jumps: state.current.jumps };
    async function open() {
      if (lineNumber !== undefined) return openAt(lineNumber, abort.signal);
      const searched = text !== '' || level === 'warning' || level === 'error';
      if (fails && !runs && !searched) {
        const first = await read({ place: 0, level: 'error', limit: 1 }, abort.signal);
        const error = first.entries[0] as Line | undefined;
        if (error) return openAt(error.place, abort.signal);
      }
      const part = await read({ place: runs && !searched ? -BEFORE : 0 }, abort.signal);
      show({ lines: part.entries as Line[], start: part.start, place: part.place, more: part.more, loaded: true, error: null });
    }
    busy.current = true;
    open()
      .catch((error: unknown) => {
        if (!abort.signal.aborted) show({ error, loaded: true });
      })
      .finally(() => {
        if (!abort.signal.aborted) busy.current = false;
      });
    return () => {
      abort.abort();
      opened.current = { ...opened.current, line: undefined };
    };
  }, [read, openAt, show, level, text]);

  const later = useCallback(async () => {
    if (busy.current || !state.current.loaded) return;
    busy.current = true;
    try {
      do {
        const part = await read({ place: state.current.place });
        const { lines, start } = state.current;
        const all = part.entries.length > 0 ? [...lines, ...(part.entries as Line[])] : lines;
        const kept = running && all.length > MAX_FOLLOWED ? all.slice(-MAX_FOLLOWED) : all;
        if (part.entries.length > 0 || part.place !== state.current.place || part.more !== state.current.more || state.current.error)
          show({ lines: kept, start: kept === all ? start : kept[0]!.place, place: part.place, more: part.more, error: null });
      } while (running && state.current.more);
    } catch (error) {
      show({ error });
    } finally {
      busy.current = false;
    }
  }, [read, running, show]);

  /** Lines before the part; returns how many came. */
  const earlier = useCallback(async (): Promise<number> => {
    if (busy.current) return 0;
    busy.current = true;
    try {
      let { start } = state.current;
      while (start > 0) {
        const from = Math.max(0, start - EARLIER);
        const part = await read({ place: from, until: start, limit: 10_000 });
        start = from === 0 ? 0 : Math.min(part.start, start - 1);
        if (part.entries.length > 0) {
          show({ lines: [...(part.entries as Line[]), ...state.current.lines], start, error: null });
          return part.entries.length;
        }
      }
      show({ start: 0 });
      return 0;
    } catch (error) {
      show({ error });
      return 0;
    } finally {
      busy.current = false;
    }
  }, [read, show]);

  /** Mark the next error after a place, from the beginning again after the last; false where there is none. */
  const nextError = useCallback(
    async (after: number): Promise<boolean> => {
      for (const place of after >= 0 ? [after + 1, 0] : [0]) {
        const error = (await read({ place, level: 'error', limit: 1 })).entries[0] as Line | undefined;
        if (!error) continue;
        if (state.current.lines.some((entry) => entry.place === error.place)) show({ marked: error.place, jumps: state.current.jumps + 1 });
        else await openAt(error.place);
        return true;
      }
      return false;
    },
    [read, openAt, show],
  );

  const mark = useCallback((place: number) => show({ marked: place }), [show]);

  useEffect(() => {
    if (!running) {
      void later(); // the last lines of an attempt that has just ended
      return;
    }
    const timer = window.setInterval(() => void later(), POLL_MS);
    return () => window.clearInterval(timer);
  }, [running, later]);

  return { log, later, earlier, nextError, mark, full: log.lines.length >= MAX_LINES };
}
