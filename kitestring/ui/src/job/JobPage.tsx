/** A job: how far it is or why it failed, its streams, and its log. */
import { Anchor, Button, Group, Paper, SegmentedControl, Skeleton, Stack, Text, Title } from '@mantine/core';
import { IconPlayerStop } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useParams } from '@tanstack/react-router';

import { api, OWN } from '../api/client';
import type { JobDetail } from '../api/schema.gen';
import { ACTIVE, connectionQuery } from '../connections/overviews';
import { DataLink } from '../data/DataLink';
import { useWorkspace } from '../session/session';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { duration } from '../shell/format';
import { PageHeader } from '../shell/PageHeader';
import { StatusBadge } from '../shell/StatusBadge';
import { notifySuccess, notifyError } from '../shell/notify';
import { Time } from '../shell/Time';
import { t } from '../text';
import { useJob } from './job';
import { JobLog } from './JobLog';
import { JobProblem, Suspicions } from './JobProblem';
import { WindowsLine, WindowSuspicions } from './Windows';
import { causeWords, kindWord } from './JobRow';
import { streamsOf } from './streams';
import { StreamTable } from './StreamTable';
import { SyncProgress } from './SyncProgress';

const route = getRouteApi('/shell/jobs/$jobId');

export function JobPage() {
  const { jobId } = useParams({ strict: false }) as { jobId: string };
  const query = useJob(jobId);
  const { may } = useWorkspace();
  const job = query.data;
  if (!job)
    return query.error ? (
      <ErrorNote error={query.error} retry={() => void query.refetch()} />
    ) : (
      <Stack>
        <Skeleton h={44} w={320} />
        <RowsSkeleton />
      </Stack>
    );
  return <JobView key={jobId} job={job} run={may('runner')} />;
}

function JobView({ job, run }: { job: JobDetail; run: boolean }) {
  const running = ACTIVE.includes(job.status);
  const connection = useQuery({ ...connectionQuery(job.connectionId), refetchInterval: false, retry: false });
  const { attempt: chosen, line } = route.useSearch();
  const navigate = route.useNavigate();
  const attempt = job.history.find((entry) => entry.number === chosen) ?? job.history.at(-1);
  return (
    <>
      <PageHeader
        title={`${kindWord(job.kind)} ${job.jobId}`}
        above={
          <Anchor component={Link} to={`/connections/${job.connectionId}`} size="sm">
            {connection.data?.name ?? t('The connection')}
          </Anchor>
        }
        note={
          <Group gap="sm" style={{ rowGap: 4 }}>
            <StatusBadge status={job.status} />
            {running && !!job.windows?.suspicious && <StatusBadge status="suspicious" />}
            <span>{causeWords(job.cause)}</span>
            <span>
              {t('started')} <Time ms={job.startedAtMs ?? job.createdAtMs} />
            </span>
            {job.startedAtMs && job.endedAtMs && <span>{t('took {time}', { time: duration(job.endedAtMs - job.startedAtMs) })}</span>}
          </Group>
        }
      >
        {run && running && <CancelButton job={job} />}
      </PageHeader>
      <Stack>
        {running && (
          <Paper withBorder p="md">
            <SyncProgress job={job} />
            {job.continuous && <WindowsLine job={job} />}
          </Paper>
        )}
        <JobProblem job={job} attempt={attempt} connection={connection.data} />
        {attempt && <Suspicions attempt={attempt} />}
        {running && <WindowSuspicions job={job} />}
        {job.history.length > 1 && attempt && (
          <Group gap="sm">
            <Text size="sm" fw={600} id="attempts">
              {t('Attempt')}
            </Text>
            <SegmentedControl
              aria-labelledby="attempts"
              size="xs"
              value={String(attempt.number)}
              onChange={(value) => void navigate({ search: { attempt: Number(value) }, replace: true })}
              data={job.history.map((entry) => ({ value: String(entry.number), label: String(entry.number) }))}
            />
            <StatusBadge status={attempt.status} />
            <Text size="sm" c="dimmed">
              {t('on {worker}', { worker: attempt.worker })}
              {attempt.endedAtMs && `, ${duration(attempt.endedAtMs - attempt.startedAtMs)}`}
            </Text>
          </Group>
        )}
        {attempt?.error && attempt.error.message !== job.error?.message && (
          <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
            {t('This attempt: {message}', { message: `${attempt.error.message} ${attempt.error.hint}` })}
          </Text>
        )}
        {attempt && (
          <StreamTable
            streams={streamsOf(attempt)}
            link={
              running || !connection.data
                ? undefined
                : (stream) => <DataLink size="xs" destinationId={connection.data.destination.id} connectionId={job.connectionId} stream={stream} />
            }
          />
        )}
        {attempt && (
          <Paper withBorder p="md">
            <Title order={2} size="h5" mb="sm">
              {t('Log')}
            </Title>
            <JobLog
              key={attempt.number}
              jobId={job.jobId}
              attempt={attempt.number}
              running={attempt.endedAtMs === null && running}
              failed={attempt.error !== null}
              line={line}
            />
          </Paper>
        )}
      </Stack>
    </>
  );
}

function CancelButton({ job }: { job: JobDetail }) {
  const cancel = useMutation({
    mutationFn: () => api.post(`${OWN}/jobs/${job.jobId}/cancel`),
    onSuccess: () => notifySuccess(t('The job stops at the next checkpoint.')),
    onError: notifyError,
  });
  const stopping = job.cancelRequested || cancel.isSuccess;
  return (
    <Button
      color="red.8"
      leftSection={<IconPlayerStop size={16} aria-hidden />}
      loading={cancel.isPending}
      disabled={stopping}
      onClick={() => cancel.mutate()}
    >
      {stopping ? t('Stopping …') : t('Cancel')}
    </Button>
  );
}
