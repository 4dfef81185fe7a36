/** The log of an attempt: searched on the server, followed while it runs, opened at its first error, of any length. */
import { Button, Checkbox, Group, NativeSelect, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconAlertTriangle, IconChevronUp, IconDownload, IconLink, IconSearch } from '@tabler/icons-react';
import { useNavigate } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type KeyboardEvent, memo, useCallback, useEffect, useRef, useState } from 'react';

import { ErrorNote } from '../shell/ErrorNote';
import { notifyError, notifySuccess } from '../shell/notify';
import { plural, t } from '../text';
import { downloadLog } from './downloadLog';
import { logTime, logText } from './log';
import { type Line, useLog } from './useLog';

const LEVELS = ['debug', 'info', 'warning', 'error'];
const LINE_HEIGHT = 20;

export interface JobLogProps {
  jobId: number;
  attempt: number;
  running: boolean;
  /** Open at the first error. */
  failed: boolean;
  /** Open at this line. */
  line?: number;
}

export function JobLog({ jobId, attempt, running, failed, line }: JobLogProps) {
  const [level, setLevel] = useState('info');
  const [typed, setTyped] = useState('');
  const [text] = useDebouncedValue(typed.trim(), 250);
  const [follow, setFollow] = useState(line === undefined);
  const [wrap, setWrap] = useState(true);
  const navigate = useNavigate();
  const { log, later, earlier, nextError, mark, full } = useLog({ jobId, attempt, level, text, running, failed, line });
  const { lines } = log;
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    getItemKey: (index) => lines[index]!.place,
    estimateSize: () => LINE_HEIGHT,
    overscan: 10,
  });
  const followed = running && follow;
  const total = rows.getTotalSize();
  useEffect(() => {
    if (followed && scroller.current) scroller.current.scrollTop = total;
  }, [followed, total, log.place]);
  const { jumps, marked } = log;
  useEffect(() => {
    const index = marked === null ? -1 : lines.findIndex((entry) => entry.place >= marked);
    if (index >= 0) rows.scrollToIndex(index, { align: 'center' });
    // Only when another line is chosen: not with every line that arrives.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [jumps]);
  const items = rows.getVirtualItems();
  const atEnd = items.at(-1)?.index === lines.length - 1;
  useEffect(() => {
    if (atEnd && log.more && !running && !full) void later();
  }, [atEnd, log.more, running, full, later]);

  async function showEarlier() {
    const count = await earlier();
    if (count > 0) requestAnimationFrame(() => rows.scrollToIndex(count, { align: 'start' }));
  }

  async function showNextError() {
    setFollow(false);
    try {
      if (!(await nextError(marked ?? (topLine()?.place ?? 0) - 1))) notifySuccess(t('The log has no errors.'));
    } catch (error) {
      notifyError(error);
    }
  }

  const choose = useCallback(
    (place: number) => {
      mark(place);
      setFollow(false);
    },
    [mark],
  );

  /** Enter marks the first line in sight; from a marked line the arrows go on to the next. */
  function onKey(event: KeyboardEvent) {
    if (['ArrowUp', 'PageUp', 'Home'].includes(event.key)) setFollow(false);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const at = marked === null ? -1 : lines.findIndex((entry) => entry.place === marked);
    const next = event.key === 'Enter' ? topLine() : step !== undefined && at >= 0 ? lines[at + step] : undefined;
    if (!next || event.target !== scroller.current) return;
    event.preventDefault();
    choose(next.place);
    if (step !== undefined) rows.scrollToIndex(at + step, { align: 'auto' });
  }

  function topLine(): Line | undefined {
    const top = items.find((item) => item.start >= (scroller.current?.scrollTop ?? 0));
    return top && lines[top.index];
  }

  function copyLink() {
    if (marked === null) return;
    void navigate({ to: '.', search: { attempt, line: marked }, replace: true });
    const address = new URL(window.location.href);
    address.search = `?attempt=${attempt}&line=${marked}`;
    // Browsers offer the clipboard to secure pages only; elsewhere the address holds the link.
    const copying = navigator.clipboard?.writeText(address.href) ?? Promise.reject();
    copying.then(
      () => notifySuccess(t('The link to this line was copied.')),
      () => notifySuccess(t('The address is now the link to this line.')),
    );
  }

  return (
    <>
      <Group mb="sm" gap="xs">
        <TextInput
          aria-label={t('Search the log')}
          placeholder={t('Search the log')}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          style={{ flex: '1 1 200px' }}
          maw={340}
        />
        <NativeSelect
          aria-label={t('Minimum level')}
          data={LEVELS.map((value) => ({ value, label: t('{level} and above', { level: value }) }))}
          value={level}
          onChange={(event) => setLevel(event.currentTarget.value)}
          w={180}
        />
        <Button variant="default" leftSection={<IconAlertTriangle size={16} aria-hidden />} onClick={() => void showNextError()}>
          {t('Next error')}
        </Button>
        <Button variant="default" leftSection={<IconDownload size={16} aria-hidden />} onClick={() => void downloadLog(jobId, attempt)}>
          {t('Download')}
        </Button>
        <Button
          variant="default"
          leftSection={<IconLink size={16} aria-hidden />}
          disabled={marked === null}
          title={marked === null ? t('Choose a line first: click it, or press Enter in the log.') : undefined}
          onClick={copyLink}
        >
          {t('Copy link')}
        </Button>
        <Checkbox label={t('Wrap lines')} checked={wrap} onChange={(event) => setWrap(event.currentTarget.checked)} />
        {running && <Checkbox label={t('Follow')} checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} />}
      </Group>
      {log.error !== null && <ErrorNote error={log.error} />}
      <div
        ref={scroller}
        className="log"
        tabIndex={0}
        role="log"
        aria-label={t('Log')}
        aria-live="off"
        data-wrap={wrap}
        onWheel={(event) => event.deltaY < 0 && setFollow(false)}
        onKeyDown={onKey}
      >
        {log.start > 0 && (
          <Button fullWidth radius={0} size="compact-xs" variant="subtle" leftSection={<IconChevronUp size={14} aria-hidden />} onClick={() => void showEarlier()}>
            {t('Earlier lines')}
          </Button>
        )}
        <div style={{ height: total, position: 'relative' }}>
          {items.map((item) => (
            <div
              key={item.key}
              data-index={item.index}
              ref={rows.measureElement}
              className="log-row"
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <LogLine entry={lines[item.index]!} marked={lines[item.index]!.place === marked} choose={choose} />
            </div>
          ))}
        </div>
        {log.loaded && lines.length === 0 && (
          <Text size="sm" c="dimmed" p="md">
            {text
              ? t('No line at level {level} or above contains “{text}”.', { level, text })
              : t('No lines at level {level} or above.', { level })}
          </Text>
        )}
      </div>
      <Text size="xs" c="dimmed" className="numbers" mt={6}>
        {plural(lines.length, '{count} line', '{count} lines')}
        {log.more && !running && ` ${t('(more available)')}`}
      </Text>
    </>
  );
}

const LogLine = memo(function LogLine({ entry, marked, choose }: { entry: Line; marked: boolean; choose: (place: number) => void }) {
  return (
    <div className="log-line" data-level={entry.level} data-marked={marked || undefined} onClick={() => choose(entry.place)}>
      <time dateTime={new Date(entry.at_ms).toISOString()}>{logTime(entry.at_ms)}</time>
      <span className="log-level">{entry.level}</span>
      <span>{logText(entry)}</span>
    </div>
  );
});
