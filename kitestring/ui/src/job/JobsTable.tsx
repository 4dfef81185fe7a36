/** Jobs, newest first, page after page: of a connection, or of a workspace with the connection's name. */
import { Button, Group, Paper } from '@mantine/core';
import { IconHistory } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';

import { api, OWN } from '../api/client';
import type { ListedJobs } from '../api/schema.gen';
import { ACTIVE } from '../connections/overviews';
import { EmptyState } from '../shell/EmptyState';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { t } from '../text';
import styles from './job.module.css';
import { JobRow } from './JobRow';

const PAGE = 50;

export interface JobFilter {
  connectionId?: string;
  workspaceIds?: string;
  status?: string;
  kind?: string;
  text?: string;
  before?: number;
}

/** A page of jobs; with `counted` also how many have each status. */
export function useJobs(of: JobFilter, counted = false) {
  return useQuery({
    queryKey: ['jobs', of.connectionId ?? of, of.before, counted],
    placeholderData: keepPreviousData,
    // One more than is shown: it says whether there is a next page.
    queryFn: ({ signal }) => api.get<ListedJobs>(`${OWN}/jobs`, { ...of, limit: PAGE + 1, counted: counted || undefined }, signal),
    refetchInterval: (query) => (query.state.data?.data.some((job) => ACTIVE.includes(job.status)) ? 2_000 : 10_000),
  });
}

/** The jobs of a connection; the pages are kept by this list itself. */
export function JobsTable({ of, running }: { of: JobFilter; /** When it changes, the list is refetched. */ running?: number }) {
  const [before, setBefore] = useState<number>();
  const query = useJobs({ ...of, before });
  const { refetch } = query;
  useEffect(() => void refetch(), [running, refetch]);
  return <JobsList query={query} before={before} setBefore={setBefore} />;
}

export function JobsList({
  query,
  before,
  setBefore,
  named = false,
  filtered = false,
}: {
  query: ReturnType<typeof useJobs>;
  before?: number;
  setBefore: (before?: number) => void;
  /** Whether to show the connection of each job. */
  named?: boolean;
  filtered?: boolean;
}) {
  if (query.error) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  if (!query.data) return <RowsSkeleton />;
  const jobs = query.data.data.slice(0, PAGE);
  const older = query.data.data.length > PAGE ? jobs.at(-1)?.jobId : undefined;
  if (jobs.length === 0 && before === undefined)
    return (
      <Paper withBorder>
        <EmptyState icon={<IconHistory size={28} aria-hidden />} title={filtered ? t('No job matches the filter') : t('No job yet')}>
          {t('Each sync, refresh, clear and backfill will be listed here, with its figures and its log.')}
        </EmptyState>
      </Paper>
    );
  return (
    <>
      <Paper withBorder style={{ overflow: 'hidden' }} role="table" aria-label={t('Jobs')}>
        <div role="rowgroup" className={styles.titles}>
          <div role="row" className={styles.job}>
            {[t('Job'), t('Status'), t('Started'), t('Duration'), t('Records, size')].map((title, n) => (
              <span key={title} role="columnheader" className={n > 2 ? styles.figure : undefined}>
                {title}
              </span>
            ))}
          </div>
        </div>
        <div role="rowgroup" className={styles.jobs}>
          {jobs.map((job) => (
            <JobRow key={job.jobId} job={job} connection={named ? job.connectionName : undefined} />
          ))}
        </div>
      </Paper>
      {(older !== undefined || before !== undefined) && (
        <Group justify="center" mt="md">
          <Button variant="default" disabled={before === undefined} onClick={() => setBefore(undefined)}>
            {t('Newest')}
          </Button>
          <Button variant="default" disabled={older === undefined} loading={query.isPlaceholderData} onClick={() => setBefore(older)}>
            {t('Older')}
          </Button>
        </Group>
      )}
    </>
  );
}
