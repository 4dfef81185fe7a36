/** All chunks of a record in their order, the opened one marked. */
import { Badge, Group, Paper, Skeleton, Spoiler, Stack, Text, Title, UnstyledButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';

import type { DataChunk } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { plural, t } from '../text';
import { useWritingJob, WritingNote } from './busy';
import { recordQuery } from './data';

export function ChunksOfRecord({ destinationId, chunk, show }: { destinationId: string; chunk: DataChunk; show: (chunk: DataChunk) => void }) {
  const record = useQuery(recordQuery(destinationId, chunk));
  const writing = useWritingJob(record);
  const chunks = record.data?.length ? record.data : [chunk];
  return (
    <Stack gap="xs">
      <Group justify="space-between">
        <Title order={3} size="h5">
          {plural(chunks.length, '{count} chunk of this record', '{count} chunks of this record')}
        </Title>
        {record.isFetching && <Skeleton h={12} w={80} role="status" aria-label={t('Loading')} />}
      </Group>
      {writing !== undefined ? <WritingNote job={writing} old /> : record.error ? <ErrorNote error={record.error} /> : null}
      <Stack component="ol" gap="xs" p={0} m={0} style={{ listStyle: 'none' }} aria-label={t('Chunks')}>
        {chunks.map((each, index) => (
          <Paper
            key={each.chunkId}
            component="li"
            withBorder
            p="sm"
            aria-current={each.chunkId === chunk.chunkId ? 'true' : undefined}
            style={each.chunkId === chunk.chunkId ? { borderColor: 'var(--mantine-primary-color-filled)' } : undefined}
          >
            <Group gap="xs" mb={4}>
              <Badge variant={each.chunkId === chunk.chunkId ? 'filled' : 'default'} radius="sm" tt="none">
                {(each.number ?? index) + 1}
              </Badge>
              {each.chunkId !== chunk.chunkId && (
                <UnstyledButton onClick={() => show(each)}>
                  <Text size="xs" c="var(--mantine-color-anchor)">
                    {t('Show this chunk')}
                  </Text>
                </UnstyledButton>
              )}
            </Group>
            <Spoiler maxHeight={each.chunkId === chunk.chunkId ? 320 : 72} showLabel={t('Show all')} hideLabel={t('Show less')}>
              <Text size="sm" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }} c={each.text ? undefined : 'dimmed'}>
                {each.text ?? t('The text is not stored.')}
              </Text>
            </Spoiler>
          </Paper>
        ))}
      </Stack>
    </Stack>
  );
}
