/** The streams of an attempt: what needs attention first, of any number. On a phone each is a card. */
import { Chip, Group, Paper, Progress, Text, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type CSSProperties, memo, type ReactNode, useMemo, useRef, useState } from 'react';

import type { StreamResult } from '../api/schema.gen';
import { count, duration, figureName, money, size } from '../shell/format';
import { StatusBadge, statusWord } from '../shell/StatusBadge';
import { plural, t } from '../text';
import styles from './job.module.css';
import { share, streamText } from './progress';
import { ordered, statusCounts, sums, type StreamRow } from './streams';

const SEARCHED_ABOVE = 10;
/** So many streams are shown in full; more scroll in a box, so that the log stays in sight. */
const FEW = 6;

/** Names of figures that have a column or are shown with another. */
const FOLDED = new Set(['chunks', 'chunks_embedded', 'chunks_reused', 'chunks_written', 'chunks_deleted', 'chunks_to_embed', 'tokens', 'cost_usd']);

export function StreamTable({ streams, link }: { streams: Record<string, StreamResult>; link?: (stream: string) => ReactNode }) {
  const [text, setText] = useState('');
  const [status, setStatus] = useState('');
  const all = useMemo(() => ordered(streams), [streams]);
  const total = useMemo(() => sums(all), [all]);
  const rows = useMemo(
    () => all.filter(({ key, result }) => (!status || result.status === status) && key.toLowerCase().includes(text.trim().toLowerCase())),
    [all, status, text],
  );
  const viewport = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => viewport.current,
    estimateSize: () => 58,
    getItemKey: (index) => rows[index]!.key,
    overscan: 4,
  });
  if (all.length === 0) return null;
  const many = rows.length > FEW;
  const chunks = all.some(({ result }) => result.figures?.chunks_embedded !== undefined);
  const columns = { '--figures': chunks ? 4 : 2 } as CSSProperties;
  return (
    <Paper withBorder style={{ overflow: 'hidden' }}>
      {all.length > SEARCHED_ABOVE && (
        <Group gap="sm" p="sm" pb={0}>
          <TextInput
            aria-label={t('Search streams')}
            placeholder={t('Search streams')}
            leftSection={<IconSearch size={16} aria-hidden />}
            size="xs"
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            style={{ flex: '0 1 240px' }}
          />
          <Chip.Group value={status} onChange={(value) => setStatus(value as string)}>
            <Group gap={6}>
              <Chip size="xs" value="">
                {t('All {count}', { count: all.length })}
              </Chip>
              {statusCounts(all).map(([name, number]) => (
                <Chip key={name} size="xs" value={name}>
                  {statusWord(name)} {count(number)}
                </Chip>
              ))}
            </Group>
          </Chip.Group>
        </Group>
      )}
      <div role="table" aria-label={t('Streams of the attempt')} aria-rowcount={rows.length + 1} style={columns}>
        <div role="rowgroup" className={styles.edge} data-many={many}>
          <div role="row" className={`${styles.row} ${styles.head}`}>
            <div role="columnheader">{t('Stream')}</div>
            <div role="columnheader">{t('Status')}</div>
            <Head>{t('Records')}</Head>
            {chunks && <Head>{t('Chunks embedded')}</Head>}
            {chunks && <Head>{t('Cost')}</Head>}
            <Head>{t('Size, time')}</Head>
          </div>
        </div>
        <div ref={viewport} className={styles.viewport} data-many={many} tabIndex={many ? 0 : undefined} role="rowgroup" aria-label={t('Streams')}>
          <div style={{ height: virtual.getTotalSize(), position: 'relative' }} role="presentation">
            {virtual.getVirtualItems().map((item) => (
              <div
                key={item.key}
                data-index={item.index}
                ref={virtual.measureElement}
                role="row"
                aria-rowindex={item.index + 2}
                className={`${styles.row} ${styles.line}`}
                style={{ position: 'absolute', insetInline: 0, top: 0, transform: `translateY(${item.start}px)` }}
              >
                <Cells row={rows[item.index]!} chunks={chunks} link={link} />
              </div>
            ))}
          </div>
          {rows.length === 0 && (
            <Text size="sm" c="dimmed" p="md">
              {t('No stream matches the filter.')}
            </Text>
          )}
        </div>
        {all.length > 1 && (
          <div role="rowgroup" className={styles.edge} data-many={many}>
            <div role="row" className={`${styles.row} ${styles.line}`}>
              <div role="cell" className={styles.name}>
                <Text size="sm" fw={700}>
                  {plural(all.length, '{count} stream', '{count} streams')}
                </Text>
              </div>
              <div role="cell" className={styles.state} />
              <Figures result={total} chunks={chunks} strong />
            </div>
          </div>
        )}
      </div>
      {Boolean(total.unchanged) && (
        <Text size="xs" c="dimmed" px="md" py="xs" className={styles.line}>
          {t('Unchanged: the destination has the record already, or never had the record that was deleted.')}
        </Text>
      )}
      {Boolean(total.superseded) && (
        <Text size="xs" c="dimmed" px="md" py="xs" className={styles.line}>
          {t('Repeated: the record came more than once in this sync, and its last version is kept.')}
        </Text>
      )}
    </Paper>
  );
}

function Head({ children }: { children: ReactNode }) {
  return (
    <div role="columnheader" className={styles.figure}>
      {children}
    </div>
  );
}

const Cells = memo(function Cells({ row: { key, result }, chunks, link }: { row: StreamRow; chunks: boolean; link?: (stream: string) => ReactNode }) {
  const running = Boolean(result.phase);
  const done = running ? share(result) : null;
  return (
    <>
      <div role="cell" className={styles.name}>
        <Text size="sm" fw={600} style={{ overflowWrap: 'anywhere' }}>
          {key}
        </Text>
        {link?.(key)}
        {result.error && (
          <Text size="xs" c="var(--mantine-color-error)" style={{ overflowWrap: 'anywhere' }} lineClamp={3}>
            {result.error.message}
          </Text>
        )}
        {(result.suspicions ?? []).map((reason) => (
          <Text key={reason} size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
            {reason}
          </Text>
        ))}
      </div>
      <div role="cell" className={styles.state}>
        {running ? (
          <>
            <Text size="xs" className="numbers">
              {streamText(result)}
            </Text>
            {done !== null && <Progress value={done * 100} size="xs" mt={4} aria-label={t('Progress of {stream}', { stream: key })} />}
          </>
        ) : result.status === 'waiting' ? (
          <Text size="xs" c="dimmed">
            {t('Waiting in the queue')}
          </Text>
        ) : (
          <StatusBadge status={result.status} />
        )}
      </div>
      <Figures result={result} chunks={chunks} />
    </>
  );
});

function Figures({ result, chunks, strong = false }: { result: StreamResult; chunks: boolean; strong?: boolean }) {
  const figures = result.figures ?? {};
  const others = Object.entries(figures).filter(([name, value]) => !FOLDED.has(name) && value);
  return (
    <>
      <Figure label={t('Records')} strong={strong} value={t('{count} written', { count: result.written ?? 0 })}>
        {[
          t('{count} read', { count: result.read ?? 0 }),
          some(result.unchanged, t('{count} unchanged', { count: result.unchanged ?? 0 })),
          some(result.deleted, t('{count} deleted', { count: result.deleted ?? 0 })),
          some(result.rejected, t('{count} rejected', { count: result.rejected ?? 0 })),
          some(result.superseded, t('{count} repeated', { count: result.superseded ?? 0 })),
          some(result.filtered, t('{count} filtered', { count: result.filtered ?? 0 })),
        ]}
      </Figure>
      {chunks && (
        <Figure label={t('Chunks embedded')} strong={strong} value={figures.chunks_embedded === undefined ? '–' : count(figures.chunks_embedded)}>
          {[
            some(figures.chunks_reused, t('{count} reused', { count: figures.chunks_reused ?? 0 })),
            some(figures.chunks_deleted, t('{count} deleted', { count: figures.chunks_deleted ?? 0 })),
            ...others.map(([name, value]) => `${count(value)} ${figureName(name)}`),
          ]}
        </Figure>
      )}
      {chunks && (
        <Figure label={t('Cost')} strong={strong} value={figures.cost_usd === undefined ? '–' : money(figures.cost_usd)}>
          {[figures.tokens === undefined ? '' : plural(figures.tokens, '{count} token', '{count} tokens')]}
        </Figure>
      )}
      <Figure label={t('Size, time')} strong={strong} value={result.bytes ? size(result.bytes) : '–'}>
        {[
          result.seconds !== undefined ? duration(result.seconds * 1000) : '',
          ...(chunks ? [] : others.map(([name, value]) => `${count(value)} ${figureName(name)}`)),
        ]}
      </Figure>
    </>
  );
}

const some = (value: number | undefined, text: string) => (value ? text : '');

function Figure({ label, value, strong, children }: { label: string; value: string; strong: boolean; children: string[] }) {
  return (
    <div role="cell" className={styles.figure}>
      <span className={styles.label}>{label}</span>
      <Text size="sm" fw={strong ? 700 : undefined} span display="block">
        {value}
      </Text>
      <Text size="xs" c="dimmed" span display="block">
        {children.filter(Boolean).join(' · ')}
      </Text>
    </div>
  );
}
