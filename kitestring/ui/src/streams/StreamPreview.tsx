/** A few real records as the destination would get them; for a vector store, cut into chunks with their tokens. */
import { Alert, Badge, Button, Code, Group, Pagination, Stack, Text } from '@mantine/core';
import { IconListSearch } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useEffect, useState } from 'react';

import { api, OWN } from '../api/client';
import type { StreamPreview as Preview } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { plural, t } from '../text';
import classes from './streams.module.css';
import type { StreamConfig } from './streams';

const MAX_CHUNKS = 20;

export function StreamPreview({
  sourceId,
  destinationId,
  chosen,
  vector,
}: {
  sourceId: string;
  destinationId: string;
  chosen: StreamConfig;
  vector: boolean;
}) {
  const [page, setPage] = useState(1);
  const preview = useMutation({
    mutationFn: () => api.ask<Preview>(`${OWN}/preview`, { sourceId, destinationId, stream: chosen, limit: 3 }),
    onSuccess: () => setPage(1),
  });
  const { reset } = preview;
  // What is shown belongs to the configuration that it was read with.
  const configuration = JSON.stringify(chosen);
  useEffect(() => {
    reset();
  }, [configuration, reset]);
  const record = preview.data?.records[page - 1];
  return (
    <Stack gap="xs">
      <Group justify="space-between" gap="xs">
        <Text size="sm" fw={600}>
          {t('Preview')}{' '}
          <Text span size="sm" c="dimmed" fw={400}>
            {vector ? t('reads three records and cuts them into chunks; nothing is embedded or written') : t('reads three records; nothing is written')}
          </Text>
        </Text>
        <Button
          size="compact-sm"
          variant="default"
          leftSection={<IconListSearch size={14} aria-hidden />}
          loading={preview.isPending}
          onClick={() => preview.mutate()}
        >
          {vector ? t('Show a record as chunks') : t('Show a record')}
        </Button>
      </Group>
      {preview.error && <ErrorNote error={preview.error} retry={() => preview.mutate()} />}
      {preview.data && (
        <div role="region" aria-label={t('Preview')}>
          <Stack gap="xs">
            {preview.data.records.length > 1 && (
              <Pagination size="sm" total={preview.data.records.length} value={page} onChange={setPage} getItemProps={(number) => ({ 'aria-label': t('Record {number}', { number }) })} withControls={false} />
            )}
            {preview.data.filtered > 0 && (
              <Text size="sm">{plural(preview.data.filtered, 'A mapper leaves out {count} of these records.', 'Mappers leave out {count} of these records.')}</Text>
            )}
            {preview.data.rejected.map((reject, n) => (
              <Alert key={n} color="yellow" variant="light" title={t('A record would be rejected')}>
                {reject.reason}
              </Alert>
            ))}
            {record ? <PreviewedRecord record={record} size={preview.data.chunkSize} /> : <Text size="sm">{t('No record to show.')}</Text>}
          </Stack>
        </div>
      )}
    </Stack>
  );
}

function PreviewedRecord({ record, size }: { record: Preview['records'][number]; size: number | undefined }) {
  if (record.reason)
    return (
      <Alert color="yellow" variant="light" title={t('This record would be rejected')}>
        {record.reason}
      </Alert>
    );
  const chunks = record.chunks;
  if (!chunks) return <JsonBlock label={t('The record')} value={record.record} open />;
  const tokens = chunks.reduce((sum, chunk) => sum + chunk.tokens, 0);
  return (
    <Stack gap="xs">
      <Text size="sm">
        {chunks.length === 0
          ? t('This record has no text, so it cannot be searched.')
          : plural(chunks.length, '{count} chunk with {tokens} tokens, of at most {size}.', '{count} chunks with {tokens} tokens, each of at most {size}.', {
              tokens,
              size: size ?? 0,
            })}
      </Text>
      {chunks.slice(0, MAX_CHUNKS).map((chunk, n) => (
        <div key={n} className={classes.chunk}>
          <Badge size="sm" variant="default" tt="none" mb={4}>
            {t('Chunk {number} · {tokens} tokens', { number: n + 1, tokens: chunk.tokens })}
          </Badge>
          <Text size="sm">{chunk.text}</Text>
        </div>
      ))}
      {chunks.length > MAX_CHUNKS && <Text size="sm">{t('and {count} more', { count: chunks.length - MAX_CHUNKS })}</Text>}
      <JsonBlock label={t('Metadata of each chunk')} value={record.metadata} />
    </Stack>
  );
}

function JsonBlock({ label, value, open = false }: { label: string; value: unknown; open?: boolean }) {
  return (
    <details open={open}>
      <summary style={{ cursor: 'pointer' }}>
        <Text span size="sm">
          {label}
        </Text>
      </summary>
      <Code block tabIndex={0} role="group" aria-label={label} style={{ maxHeight: 300, overflow: 'auto', whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
        {JSON.stringify(value, null, 2)}
      </Code>
    </details>
  );
}
