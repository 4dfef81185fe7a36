/** The streams of a destination with their counts: a list, and a choice on a phone. */
import { Box, NavLink, Select, Text } from '@mantine/core';

import type { DataStream } from '../api/schema.gen';
import { count } from '../shell/format';
import { plural, t } from '../text';
import { keyOf } from './data';

interface Props {
  streams: readonly DataStream[];
  chosen: DataStream | undefined;
  /** Whether all of them can be chosen at once: that is so without a chosen one. */
  all: boolean;
  /** A vector store: its chunks are counted too. */
  chunks: boolean;
  choose: (stream: DataStream | undefined) => void;
}

const ALL = '';

export function StreamList({ streams, chosen, all, chunks, choose }: Props) {
  return (
    <>
      <Box visibleFrom="md" component="nav" aria-label={t('Streams')} style={{ maxHeight: 'calc(100vh - 220px)', overflowY: 'auto' }}>
        {all && (
          <NavLink
            component="button"
            label={t('All streams')}
            active={chosen === undefined}
            aria-current={chosen === undefined ? 'true' : undefined}
            variant="light"
            onClick={() => choose(undefined)}
            style={{ borderRadius: 'var(--mantine-radius-md)' }}
          />
        )}
        {streams.map((stream) => (
          <NavLink
            key={keyOf(stream)}
            component="button"
            label={keyOf(stream)}
            description={counted(stream, chunks)}
            active={stream === chosen}
            aria-current={stream === chosen ? 'true' : undefined}
            variant="light"
            onClick={() => choose(stream)}
            styles={{ label: { overflowWrap: 'anywhere' } }}
            style={{ borderRadius: 'var(--mantine-radius-md)' }}
          />
        ))}
      </Box>
      <Select
        hiddenFrom="md"
        label={t('Stream')}
        data={[...(all ? [{ value: ALL, label: t('All streams') }] : []), ...streams.map((stream) => ({ value: keyOf(stream), label: `${keyOf(stream)} (${counted(stream, chunks)})` }))]}
        value={chosen ? keyOf(chosen) : all ? ALL : null}
        onChange={(value) => {
          const stream = streams.find((each) => keyOf(each) === value);
          if (stream || value === ALL) choose(stream);
        }}
        allowDeselect={false}
        searchable={streams.length > 10}
      />
    </>
  );
}

function counted(stream: DataStream, chunks: boolean): string {
  if (stream.records === null) return t('not counted');
  const records =
    stream.countedTo === null
      ? plural(stream.records, '{count} record', '{count} records')
      : t('more than {number} records', { number: count(stream.countedTo) });
  return chunks && stream.chunks !== null ? `${records}, ${plural(stream.chunks, '{count} chunk', '{count} chunks')}` : records;
}

export function Writers({ stream, link }: { stream: DataStream; link: (connectionId: string, name: string) => React.ReactNode }) {
  if (stream.writers.length === 0) return null;
  return (
    <Text size="sm" c="dimmed">
      {t('Written by')} {stream.writers.map((writer, number) => [number > 0 && ', ', link(writer.connectionId, writer.name)])}
    </Text>
  );
}
