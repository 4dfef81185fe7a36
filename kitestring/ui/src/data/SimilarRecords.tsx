/** The records that resemble the opened one, best first: each once, by all of its chunks. */
import { Badge, Group, Paper, Stack, Text, UnstyledButton } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';

import type { DataChunk } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { t } from '../text';
import { useWritingJob, WritingNote } from './busy';
import { loadChunk, similarQuery } from './data';

export function SimilarRecords({ destinationId, chunk, show }: { destinationId: string; chunk: DataChunk; show: (chunk: DataChunk) => void }) {
  const similar = useQuery(similarQuery(destinationId, chunk));
  const client = useQueryClient();
  const writing = useWritingJob(similar);
  if (!chunk.stream || !chunk.recordId) return <Text c="dimmed">{t('This chunk does not say which record it belongs to.')}</Text>;
  if (writing !== undefined && !similar.data) return <WritingNote job={writing} />;
  if (similar.error && writing === undefined) return <ErrorNote error={similar.error} retry={() => void similar.refetch()} />;
  if (!similar.data) return <RowsSkeleton />;
  if (similar.data.length === 0) return <Text c="dimmed">{t('This is the only record of the collection.')}</Text>;
  return (
    <Stack component="ol" gap="xs" p={0} m={0} style={{ listStyle: 'none' }} aria-label={t('Most similar first')}>
      {similar.data.map((record) => (
        <Paper key={record.chunkId} component="li" withBorder>
          <UnstyledButton onClick={() => void loadChunk(client, destinationId, record).then(show)} p="sm" w="100%">
            <Group justify="space-between" wrap="nowrap" gap="xs" align="flex-start">
              <Text size="sm" fw={600} lineClamp={2} style={{ overflowWrap: 'anywhere' }}>
                {record.title || record.recordId || record.chunkId}
              </Text>
              {record.stream !== chunk.stream && (
                <Badge variant="default" radius="sm" tt="none" maw={140} flex="none">
                  {record.stream}
                </Badge>
              )}
            </Group>
            <Text size="sm" c="dimmed" lineClamp={2} style={{ overflowWrap: 'anywhere' }}>
              {record.text}
            </Text>
          </UnstyledButton>
        </Paper>
      ))}
    </Stack>
  );
}
