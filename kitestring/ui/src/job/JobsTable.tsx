/** Jobs, newest first, page after page: of a connection, or of a workspace with the connection's name. */
import { Button, Center, Paper, Skeleton, Table, Text } from '@mantine/core';
import { IconHistory } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useEffect } from 'react';

import { api, OWN } from '../api/client';
import type { ListedJobs } from '../api/schema.gen';
import { EmptyState } from '../shell/EmptyState';
import { ErrorNote } from '../shell/ErrorNote';
import { JobRow } from './JobRow';

const PAGE = 50;

export function JobsTable({
  of,
  running,
  named = false,
  filtered = false,
}: {
  /** The filter of the request. */
  of: { connectionId?: string; workspaceIds?: string; status?: string };
  /** The running job: when it changes, the list is refetched. */
  running?: number;
  /** Whether to show the connection of each job. */
  named?: boolean;
  filtered?: boolean;
}) {
  const query = useInfiniteQuery({
    queryKey: ['jobs', of.connectionId ?? of],
    queryFn: ({ pageParam, signal }) =>
      api.get<ListedJobs>(`${OWN}/jobs`, { ...of, limit: PAGE, before: pageParam }, signal),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (last) => (last.data.length === PAGE ? last.data.at(-1)?.jobId : undefined),
    refetchInterval: 5_000,
  });
  const { refetch } = query;
  useEffect(() => void refetch(), [running, refetch]);
  const jobs = query.data?.pages.flatMap((page) => page.data) ?? [];
  if (query.error) return <ErrorNote error={query.error} retry={() => void refetch()} />;
  if (!query.data) return <Skeleton h={200} />;
  if (jobs.length === 0)
    return (
      <Paper withBorder>
        <EmptyState icon={<IconHistory size={28} aria-hidden />} title={filtered ? 'No job matches the filter' : 'No job yet'}>
          Each sync, refresh, clear and backfill will be listed here, with its figures and its log.
        </EmptyState>
      </Paper>
    );
  return (
    <>
      <Paper withBorder style={{ overflow: 'hidden' }}>
        <Table verticalSpacing="sm" horizontalSpacing="md" highlightOnHover>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Job</Table.Th>
              <Table.Th>Status</Table.Th>
              <Table.Th>Started</Table.Th>
              <Table.Th visibleFrom="sm">Duration</Table.Th>
              <Table.Th visibleFrom="sm" ta="right">
                Records
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {jobs.map((job) => (
              <JobRow key={job.jobId} job={job} connection={named ? job.connectionName : undefined} />
            ))}
          </Table.Tbody>
        </Table>
      </Paper>
      {query.hasNextPage ? (
        <Center mt="md">
          <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            Older jobs
          </Button>
        </Center>
      ) : (
        <Text size="xs" c="dimmed" ta="center" mt="md">
          No older jobs.
        </Text>
      )}
    </>
  );
}
