/** The log of an attempt: searched on the server, followed while it runs, of any length. */
import { Button, Checkbox, Group, Select, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconDownload, IconSearch } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef, useState } from 'react';

import { api, OWN } from '../api/client';
import type { LogEntry, LogPage } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { count } from '../shell/format';
import { notifyError } from '../shell/notify';
import { line, logTime, logText } from './log';

const LEVELS = ['debug', 'info', 'warning', 'error'];
const PAGE = 2000;
const MAX_LINES = 20_000;
const POLL_MS = 1500;

interface LogState {
  entries: LogEntry[];
  place: number;
  more: boolean;
  error: unknown;
  loaded: boolean;
}

const EMPTY_LOG: LogState = { entries: [], place: 0, more: false, error: null, loaded: false };

export function JobLog({ jobId, attempt, running }: { jobId: number; attempt: number; running: boolean }) {
  const [level, setLevel] = useState('info');
  const [typed, setTyped] = useState('');
  const [text] = useDebouncedValue(typed.trim(), 250);
  const [follow, setFollow] = useState(true);
  const { log, loadMore } = useLog(jobId, attempt, level, text, running);
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: log.entries.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 20,
    overscan: 20,
  });
  const { length } = log.entries;
  useEffect(() => {
    if (running && follow && length > 0) rows.scrollToIndex(length - 1, { align: 'end' });
  }, [running, follow, length, rows]);

  async function download() {
    try {
      const lines: string[] = [];
      for (let place = 0, more = true; more; ) {
        const part: LogPage = await api.get(path(jobId, attempt), { place, limit: 10_000, level: 'debug' });
        lines.push(...part.entries.map(line));
        more = part.more && part.place > place;
        place = part.place;
      }
      const anchor = document.createElement('a');
      anchor.href = URL.createObjectURL(new Blob([`${lines.join('\n')}\n`], { type: 'text/plain' }));
      anchor.download = `job-${jobId}-attempt-${attempt}.log`;
      anchor.click();
      URL.revokeObjectURL(anchor.href);
    } catch (error) {
      notifyError(error);
    }
  }

  return (
    <>
      <Group mb="sm" gap="xs">
        <TextInput
          aria-label="Search the log"
          placeholder="Search the log"
          leftSection={<IconSearch size={16} aria-hidden />}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          style={{ flex: '1 1 200px' }}
          maw={340}
        />
        <Select
          aria-label="Minimum level"
          data={LEVELS.map((value) => ({ value, label: `${value} and above` }))}
          value={level}
          onChange={(value) => value && setLevel(value)}
          allowDeselect={false}
          w={180}
        />
        {running && <Checkbox label="Follow" checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} />}
        <Button variant="default" leftSection={<IconDownload size={16} aria-hidden />} onClick={() => void download()}>
          Download
        </Button>
      </Group>
      {log.error !== null && <ErrorNote error={log.error} />}
      <div
        ref={scroller}
        className="log"
        tabIndex={0}
        role="log"
        aria-label="Log"
        aria-live="off"
        style={{ minHeight: 80, maxHeight: 'min(60vh, 520px)', overflow: 'auto', border: '1px solid var(--mantine-color-default-border)' }}
      >
        <div style={{ height: rows.getTotalSize(), position: 'relative' }}>
          {rows.getVirtualItems().map((item) => {
            const entry = log.entries[item.index]!;
            return (
              <div
                key={item.key}
                data-index={item.index}
                ref={rows.measureElement}
                className="log-line"
                data-level={entry.level}
                style={{ position: 'absolute', insetInline: 0, top: 0, transform: `translateY(${item.start}px)` }}
              >
                <time dateTime={new Date(entry.at_ms).toISOString()}>{logTime(entry.at_ms)}</time>
                <span className="log-level">{entry.level}</span>
                <span>{logText(entry)}</span>
              </div>
            );
          })}
        </div>
        {log.loaded && length === 0 && (
          <Text size="sm" c="dimmed" p="md">
            {text ? `No line at level ${level} or above contains “${text}”.` : `No lines at level ${level} or above.`}
          </Text>
        )}
      </div>
      <Group justify="space-between" mt={6}>
        <Text size="xs" c="dimmed" className="numbers">
          {count(length)} {length === 1 ? 'line' : 'lines'}
          {log.more && ' (more available)'}
        </Text>
        {log.more && !running && (
          <Button size="xs" variant="default" onClick={loadMore}>
            Load more
          </Button>
        )}
      </Group>
    </>
  );
}

const path = (jobId: number, attempt: number) => `${OWN}/jobs/${jobId}/attempts/${attempt}/log`;

/** Read the log page by page, and poll while the attempt runs. Keeps at most `MAX_LINES` lines while it runs. */
function useLog(jobId: number, attempt: number, level: string, text: string, running: boolean) {
  const [log, setLog] = useState<LogState>(EMPTY_LOG);
  const [limit, setLimit] = useState(MAX_LINES);
  const state = useRef({ ...EMPTY_LOG, key: '' });
  const key = `${jobId} ${attempt} ${level} ${text}`;
  useEffect(() => {
    if (state.current.key !== key) {
      state.current = { ...EMPTY_LOG, key };
      setLog(EMPTY_LOG);
      setLimit(MAX_LINES);
    }
    const abort = new AbortController();
    let timer = 0;
    async function poll() {
      const current = state.current;
      try {
        do {
          const part = await api.get<LogPage>(path(jobId, attempt), { place: current.place, limit: PAGE, level, text }, abort.signal);
          current.entries = running ? [...current.entries, ...part.entries].slice(-MAX_LINES) : [...current.entries, ...part.entries];
          current.place = part.place;
          current.more = part.more;
          current.error = null;
          current.loaded = true;
          setLog({ ...current });
        } while (current.more && (running || current.entries.length < limit));
      } catch (error) {
        if (abort.signal.aborted) return;
        current.error = error;
        setLog({ ...current });
      }
      if (running && !abort.signal.aborted) timer = window.setTimeout(() => void poll(), POLL_MS);
    }
    void poll();
    return () => {
      abort.abort();
      window.clearTimeout(timer);
    };
  }, [key, jobId, attempt, level, text, running, limit]);
  return { log, loadMore: () => setLimit((previous) => previous + MAX_LINES) };
}
