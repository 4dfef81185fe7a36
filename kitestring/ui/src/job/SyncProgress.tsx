/**
 * How far a running job is: its phase, a bar, records, time left, cost so far.
 *
 *     <SyncProgress job={job} />            of a page: bar and facts
 *     <SyncProgress job={job} compact />    of a row or a card: a thin bar and one line
 *
 * Nothing for a job that has ended. `job` is any answer of the API that has `status` and `progress`.
 */
import { Group, Progress, Stack, Text } from '@mantine/core';

import type { JobSummary } from '../api/schema.gen';
import { t } from '../text';
import { factsOf, followingText, leftText, percent, phaseText, recordsText, share } from './progress';

type Followed = Pick<JobSummary, 'status' | 'progress'> & Partial<Pick<JobSummary, 'continuous'>>;

const ACTIVE = ['pending', 'running', 'incomplete'];

export function SyncProgress({ job, compact = false }: { job: Followed; compact?: boolean }) {
  if (!ACTIVE.includes(job.status)) return null;
  return compact ? <CompactProgress job={job} /> : <WholeProgress job={job} />;
}

function headline({ status, progress, continuous }: Followed): string {
  if (status === 'pending') return t('Waiting for a worker with a free slot');
  if (status === 'incomplete') return t('Waiting for the next attempt');
  if (!progress) return t('Starting');
  const phase = continuous && (progress.phase === 'reading' || progress.phase === null) ? followingText(progress) : phaseText(progress);
  return progress.stream && progress.streams > 1 ? t('{phase} ({stream})', { phase, stream: progress.stream }) : phase;
}

function Bar({ job, size }: { job: Followed; size: 'xs' | 'md' }) {
  const done = job.progress ? share(job.progress) : null;
  const moving = job.status === 'running';
  return (
    <Progress.Root size={size} radius="xl">
      <Progress.Section
        value={done === null ? 100 : Math.max(1, done * 100)}
        color={moving ? undefined : 'gray'}
        striped={done === null && moving}
        animated={done === null && moving}
        // A full bar would say that all is done.
        style={done === null ? { opacity: moving ? 0.4 : 0.25 } : undefined}
        // Mantine would read out 100 % where the share is not known.
        withAria={false}
        role="progressbar"
        aria-label={t('Progress')}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={done === null ? undefined : Math.floor(done * 100)}
        aria-valuetext={done === null ? headline(job) : percent(done)}
      />
    </Progress.Root>
  );
}

function CompactProgress({ job }: { job: Followed }) {
  const { progress } = job;
  const done = progress ? share(progress) : null;
  const facts = progress ? [recordsText(progress), leftText(progress.left_s)].filter(Boolean).join(' · ') : '';
  return (
    <Stack gap={3} miw={0}>
      <Group gap={6} justify="space-between" wrap="nowrap">
        <Text size="xs" lineClamp={1} className="numbers">
          {headline(job)}
        </Text>
        {done !== null && (
          <Text size="xs" c="dimmed" className="numbers" style={{ flex: 'none' }}>
            {percent(done)}
          </Text>
        )}
      </Group>
      <Bar job={job} size="xs" />
      {facts && (
        <Text size="xs" c="dimmed" className="numbers" lineClamp={1}>
          {facts}
        </Text>
      )}
    </Stack>
  );
}

function WholeProgress({ job }: { job: Followed }) {
  const { progress } = job;
  const done = progress ? share(progress) : null;
  return (
    <Stack gap={6}>
      <Group justify="space-between" gap="sm" wrap="nowrap" align="baseline">
        <Text fw={600} className="numbers" style={{ overflowWrap: 'anywhere' }}>
          {headline(job)}
        </Text>
        {done !== null && (
          <Text fw={600} className="numbers" style={{ flex: 'none' }}>
            {percent(done)}
          </Text>
        )}
      </Group>
      <Bar job={job} size="md" />
      {progress && (
        <Group gap="md" style={{ rowGap: 2 }}>
          {factsOf(progress).map((fact) => (
            <Text key={fact} size="sm" c="dimmed" className="numbers">
              {fact}
            </Text>
          ))}
        </Group>
      )}
    </Stack>
  );
}
