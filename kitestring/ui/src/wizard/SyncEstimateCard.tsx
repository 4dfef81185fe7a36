/** The estimate of a first sync: a sentence, then the figures of each stream; cards on a phone. */
import { Card, Stack, Text, Title } from '@mantine/core';

import type { SyncEstimate } from '../api/schema.gen';
import { count, figureName, money, size } from '../shell/format';
import { plural, t } from '../text';
import classes from './estimate.module.css';

const MAX_STREAMS = 50;

type Figures = SyncEstimate[string];
type Column = { key: string; title: string; text: (value: number) => string };

const OWN = new Set(['read', 'records', 'bytes', 'deleted', 'sampled', 'error']);
const MEGABYTE = 1_000_000;

const figure = (figures: Figures, key: string): number => (typeof figures[key] === 'number' ? (figures[key] as number) : 0);

function columnOf(key: string): Column {
  switch (key) {
    case 'chunks_embedded':
      return { key, title: t('Embedded'), text: count };
    case 'stored_mb':
      return { key, title: t('Stored'), text: (value) => size(value * MEGABYTE) };
    case 'cost_usd':
      return { key, title: t('Cost'), text: money };
    default:
      return { key, title: figureName(key).replace(/^./, (first) => first.toUpperCase()), text: (value) => count(Number.isInteger(value) ? value : Number(value.toFixed(2))) };
  }
}

export function SyncEstimateCard({ estimate }: { estimate: SyncEstimate }) {
  const streams = Object.entries(estimate);
  const total = (key: string) => streams.reduce((sum, [, figures]) => sum + figure(figures, key), 0);
  const sampled = streams.some(([, figures]) => figures.sampled);
  const keys = [...new Set(streams.flatMap(([, figures]) => Object.keys(figures)))].filter((key) => !OWN.has(key));
  // A first sync has nothing that is unchanged: a column of zeros says nothing. A cost of zero does.
  const columns = [
    { key: 'read', title: t('Records'), text: count },
    ...keys.filter((key) => key === 'cost_usd' || total(key) > 0).map(columnOf),
  ];
  return (
    <Card withBorder padding={0}>
      <Stack gap={4} p="md" pb="xs">
        <Title order={2} size="h5">
          {t('Estimate of the first sync')}
        </Title>
        <Text size="sm">{inWords(total, keys)}</Text>
        {sampled && (
          <Text size="sm" c="dimmed">
            {t('These are lower bounds: 500 records of each stream were read.')}
          </Text>
        )}
      </Stack>
      <div className={classes.table} role="table" aria-label={t('Estimate')} style={{ ['--columns' as string]: columns.length }}>
        <div role="row" className={`${classes.row} ${classes.head}`}>
          <span role="columnheader">{t('Stream')}</span>
          {columns.map(({ key, title }) => (
            <span key={key} role="columnheader" className={classes.figure}>
              {title}
            </span>
          ))}
        </div>
        {streams.slice(0, MAX_STREAMS).map(([name, figures]) => (
          <div key={name} role="row" className={classes.row}>
            <span role="cell" className={classes.name}>
              {name}
              {figures.error && (
                <Text size="xs" c="var(--mantine-color-error)">
                  {figures.error}
                </Text>
              )}
            </span>
            <Cells columns={columns} value={(key) => figure(figures, key)} more={figures.sampled} />
          </div>
        ))}
        {streams.length > 1 && (
          <div role="row" className={`${classes.row} ${classes.total}`}>
            <span role="cell" className={classes.name}>
              {t('All {count} streams', { count: streams.length })}
            </span>
            <Cells columns={columns} value={total} more={sampled} />
          </div>
        )}
      </div>
    </Card>
  );
}

function Cells({ columns, value, more }: { columns: Column[]; value: (key: string) => number; more: boolean }) {
  return columns.map(({ key, title, text }) => (
    <span key={key} role="cell" className={classes.figure}>
      <span className={classes.label}>{title}</span>
      <span>
        {text(value(key))}
        {more && key === 'read' ? '+' : ''}
      </span>
    </span>
  ));
}

/** “460 records, 16 of them deletions. They make 470 chunks; 469 are embedded, because equal texts share a vector. …” */
function inWords(total: (key: string) => number, keys: string[]): string {
  const [read, deleted, chunks, embedded] = [total('read'), total('deleted'), total('chunks'), total('chunks_embedded')];
  const sentences = [
    deleted > 0
      ? plural(read, '{count} record, {deleted} of them deletions.', '{count} records, {deleted} of them deletions.', { deleted: count(deleted) })
      : plural(read, '{count} record.', '{count} records.'),
  ];
  if (chunks > 0)
    sentences.push(
      embedded < chunks
        ? t('Their texts make {chunks} chunks, of which {embedded} are embedded: equal texts share a vector.', { chunks: count(chunks), embedded: count(embedded) })
        : t('Their texts make {chunks} chunks, and all are embedded.', { chunks: count(chunks) }),
    );
  if (keys.includes('cost_usd')) {
    const cost = total('cost_usd');
    sentences.push(cost > 0 ? t('The embedding model costs {cost}.', { cost: money(cost) }) : t('The embedding model costs nothing.'));
  }
  return sentences.join(' ');
}
