/** A job: its status, its attempts with the figures of each stream, and their logs. */
import { Alert, Anchor, Button, Group, List, Paper, SegmentedControl, Skeleton, Stack, Text, Title } from '@mantine/core';
import { IconAlertTriangle, IconPlayerStop } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useState } from 'react';

import { api, OWN } from '../api/client';
import type { AttemptRead, JobDetail, StreamResult } from '../api/schema.gen';
import { ACTIVE, connectionQuery } from '../connections/overviews';
import { useWorkspace } from '../session/session';
import { ErrorNote } from '../shell/ErrorNote';
import { duration } from '../shell/format';
import { PageHeader } from '../shell/PageHeader';
import { StatusBadge } from '../shell/StatusBadge';
import { notifySuccess, notifyError } from '../shell/notify';
import { Time } from '../shell/Time';
import { useJob } from './job';
import { JobLog } from './JobLog';
import { causeWords, kindWord } from './JobRow';
import { StreamFigures } from './StreamFigures';

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
        <Skeleton h={300} />
      </Stack>
    );
  return <JobView key={jobId} job={job} run={may('runner')} />;
}

function JobView({ job, run }: { job: JobDetail; run: boolean }) {
  const running = ACTIVE.includes(job.status);
  const connection = useQuery({ ...connectionQuery(job.connectionId), refetchInterval: false, retry: false });
  const [chosen, setChosen] = useState<number | null>(null);
  const attempt = job.history.find((entry) => entry.number === chosen) ?? job.history.at(-1);
  const cancel = useMutation({
    mutationFn: () => api.post(`${OWN}/jobs/${job.jobId}/cancel`),
    onSuccess: () => notifySuccess('The job stops at the next checkpoint.'),
    onError: notifyError,
  });
  const stopping = job.cancelRequested || cancel.isSuccess;
  return (
    <>
      <PageHeader
        title={`${kindWord(job.kind)} ${job.jobId}`}
        above={
          <Anchor component={Link} to={`/connections/${job.connectionId}`} size="sm">
            {connection.data?.name ?? 'The connection'}
          </Anchor>
        }
        note={
          <Group gap="sm" style={{ rowGap: 4 }}>
            <StatusBadge status={job.status} />
            <span>{causeWords(job.cause)}</span>
            <span>
              started <Time ms={job.startedAtMs ?? job.createdAtMs} />
            </span>
            {job.startedAtMs && job.endedAtMs && <span>took {duration(job.endedAtMs - job.startedAtMs)}</span>}
            {job.status === 'incomplete' && job.runAfterMs && (
              <span>
                retry <Time ms={job.runAfterMs} />
              </span>
            )}
          </Group>
        }
      >
        {run && running && (
          <Button
            color="red.8"
            leftSection={<IconPlayerStop size={16} aria-hidden />}
            loading={cancel.isPending}
            disabled={stopping}
            onClick={() => cancel.mutate()}
          >
            {stopping ? 'Stopping …' : 'Cancel'}
          </Button>
        )}
      </PageHeader>
      <Stack>
        {job.error && job.status !== 'succeeded' && (
          <Alert
            color={job.status === 'failed' ? 'red' : 'yellow'}
            variant="light"
            icon={<IconAlertTriangle aria-hidden />}
            title={job.error.message}
          >
            {job.error.hint && <Text size="sm">{job.error.hint}</Text>}
          </Alert>
        )}
        {attempt && <Suspicions streams={streamsOf(attempt)} />}
        {job.history.length === 0 && (
          <Text c="dimmed" size="sm">
            Not started. Waiting for a worker with a free slot.
          </Text>
        )}
        {job.history.length > 1 && attempt && (
          <Group gap="sm">
            <Text size="sm" fw={600} id="attempts">
              Attempt
            </Text>
            <SegmentedControl
              aria-labelledby="attempts"
              size="xs"
              value={String(attempt.number)}
              onChange={(value) => setChosen(Number(value))}
              data={job.history.map((entry) => ({ value: String(entry.number), label: String(entry.number) }))}
            />
            <StatusBadge status={attempt.status} />
            <Text size="sm" c="dimmed">
              on {attempt.worker}
              {attempt.endedAtMs && `, ${duration(attempt.endedAtMs - attempt.startedAtMs)}`}
            </Text>
          </Group>
        )}
        {attempt?.error && attempt.error.message !== job.error?.message && (
          <Text size="sm">
            This attempt: {attempt.error.message} {attempt.error.hint}
          </Text>
        )}
        {attempt && running && attempt.progress?.waiting && (
          <Text size="sm" role="status">
            Waiting{attempt.progress.waiting.reason ? `: ${attempt.progress.waiting.reason}` : ''} (
            {duration(attempt.progress.waiting.seconds * 1000)}).
          </Text>
        )}
        {attempt && <StreamFigures streams={streamsOf(attempt)} />}
        {attempt && (
          <Paper withBorder p="md">
            <Title order={2} size="h5" mb="sm">
              Log
            </Title>
            <JobLog key={attempt.number} jobId={job.jobId} attempt={attempt.number} running={attempt.endedAtMs === null && running} />
          </Paper>
        )}
      </Stack>
    </>
  );
}

function streamsOf(attempt: AttemptRead): Record<string, StreamResult> {
  return attempt.streams ?? attempt.progress?.streams ?? {};
}

function Suspicions({ streams }: { streams: Record<string, StreamResult> }) {
  const reasons = Object.entries(streams).flatMap(([key, result]) => (result.suspicions ?? []).map((reason) => [key, reason] as const));
  if (reasons.length === 0) return null;
  return (
    <Alert color="yellow" variant="light" icon={<IconAlertTriangle aria-hidden />} title="Two numbers disagree">
      <List size="sm">
        {reasons.slice(0, 50).map(([key, reason]) => (
          <List.Item key={`${key} ${reason}`}>
            <b>{key}</b>: {reason}
          </List.Item>
        ))}
      </List>
    </Alert>
  );
}
