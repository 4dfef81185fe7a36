/** A destination that one process at a time can open, while a job writes to it: what the page does until the job ends. */
import { Alert, Anchor, Text } from '@mantine/core';
import { IconHourglass } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useRef } from 'react';

import { ApiError } from '../api/client';
import { t } from '../text';

const AGAIN_MS = 3_000;

/** The job that writes where the request would read; undefined for every other error. */
export function writingJob(error: unknown): number | undefined {
  const job = error instanceof ApiError && error.status === 503 ? error.data.jobId : undefined;
  return typeof job === 'number' ? job : undefined;
}

/** For queries: asked again while a job writes. */
export const againWhileWriting = (query: { state: { error: unknown } }) => (writingJob(query.state.error) === undefined ? false : AGAIN_MS);

interface Read {
  error: unknown;
  isSuccess: boolean;
  isPending: boolean;
  fetchStatus: string;
}

/** The job that a read waits for. While it is asked again, the query forgets its error, and this does not. */
export function useWritingJob(read: Read): number | undefined {
  const known = useRef<number | undefined>(undefined);
  if (read.error) known.current = writingJob(read.error);
  else if (!read.isPending) known.current = undefined;
  return known.current;
}

/** `old`: rows that were read before the job began are on the page. */
export function WritingNote({ job, old = false }: { job: number; old?: boolean }) {
  return (
    <Alert color="blue" variant="light" role="status" icon={<IconHourglass aria-hidden />} title={t('A job is writing to this destination')}>
      <Text size="sm">
        {old ? t('This is the data as it was before. The page reads it again when the job has ended.') : t('One process at a time can open it. The page shows the data when the job has ended.')}{' '}
        <Anchor component={Link} to={`/jobs/${job}` as never} size="sm" underline="always" c="var(--mantine-color-text)">
          {t('Job {number}', { number: String(job) })}
        </Anchor>
      </Text>
    </Alert>
  );
}
