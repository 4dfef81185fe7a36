/** The chunks that are nearest to a chunk in the vector space, best first. */
import { Badge, Group, Paper, Stack, Text, UnstyledButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';

import type { DataChunk } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { t } from '../text';
import { useWritingJob, WritingNote } from './busy';
import { measureOf, neighboursQuery, streamsQuery } from './data';
import { titleOf } from './record';

export function Neighbours({ destinationId, chunk, show }: { destinationId: string; chunk: DataChunk; show: (chunk: DataChunk) => void }) {
  const near = useQuery(neighboursQuery(destinationId, chunk.chunkId));
  const note = useQuery(streamsQuery(destinationId)).data?.note;
  const writing = useWritingJob(near);
  if (writing !== undefined && !near.data) return <WritingNote job={writing} />;
  if (near.error && writing === undefined) return <ErrorNote error={near.error} retry={() => void near.refetch()} />;
  if (!near.data) return <RowsSkeleton />;
  if (near.data.length === 0) return <Text c="dimmed">{t('This is the only chunk of the collection.')}</Text>;
  const measure = measureOf(near.data);
  return (
    <>
      {note && (
        <Text size="sm" mb="xs" role="note">
          {note}
        </Text>
      )}
    <Stack component="ol" gap="xs" p={0} m={0} style={{ listStyle: 'none' }} aria-label={t('Nearest first')}>
      {near.data.map((each) => (
        <Paper key={each.chunkId} component="li" withBorder>
          <UnstyledButton onClick={() => show(each)} p="sm" w="100%">
            <Group justify="space-between" wrap="nowrap" gap="xs" align="flex-start">
              <Text size="sm" fw={600} lineClamp={1} style={{ overflowWrap: 'anywhere' }}>
                {titleOf({ id: each.recordId ?? each.chunkId, ...each.values })}
              </Text>
              <Group gap={6} wrap="nowrap" flex="none">
                {each.recordId !== null && each.recordId === chunk.recordId && (
                  <Badge variant="default" radius="sm" tt="none">
                    {t('Same record')}
                  </Badge>
                )}
                {each.stream !== chunk.stream && (
                  <Badge variant="default" radius="sm" tt="none" maw={140}>
                    {each.stream}
                  </Badge>
                )}
                <Text size="sm" c="dimmed" className="numbers" title={t("Distance in the collection's metric")}>
                  {measure === 'distance' ? t('distance {number}', { number: each.distance.toFixed(3) }) : t('score {number}', { number: each.distance.toFixed(3) })}
                </Text>
              </Group>
            </Group>
            <Text size="sm" c="dimmed" lineClamp={2} style={{ overflowWrap: 'anywhere' }}>
              {each.text}
            </Text>
          </UnstyledButton>
        </Paper>
      ))}
    </Stack>
    </>
  );
}
