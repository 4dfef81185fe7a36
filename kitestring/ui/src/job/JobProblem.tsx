/** Why a job failed, and what to do: the sentence, the hint, and the ways to the form that holds the cause. */
import { Alert, Button, Group, List, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';

import type { AttemptRead, ConnectionOverview, JobDetail } from '../api/schema.gen';
import { Time } from '../shell/Time';
import { CodeText } from '../shell/CodeText';
import { t } from '../text';
import { streamsOf } from './streams';

const SETTINGS_ERRORS = ['AuthError', 'ConfigError', 'SchemaError'];
const MAX_REASONS = 50;

export function JobProblem({ job, attempt, connection }: { job: JobDetail; attempt?: AttemptRead; connection?: ConnectionOverview }) {
  const { error } = job;
  if (!error || job.status === 'succeeded') return null;
  // The engine keeps errors of reading with their stream; all others come from the destination's side.
  const reading = attempt ? Object.values(streamsOf(attempt)).some((stream) => stream.error) : false;
  const ends = connection
    ? [
        { label: t('Open the source'), to: `/sources/${connection.source.id}`, first: reading },
        { label: t('Open the destination'), to: `/destinations/${connection.destination.id}`, first: !reading },
      ].sort((a, b) => Number(b.first) - Number(a.first))
    : [];
  return (
    <Alert
      color={job.status === 'failed' ? 'red' : 'yellow'}
      variant="light"
      icon={<IconAlertTriangle aria-hidden />}
      title={error.message}
      styles={{ title: { whiteSpace: 'normal' }, label: { whiteSpace: 'normal', overflowWrap: 'anywhere' }, body: { minWidth: 0 } }}
    >
      {error.hint && (
        <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
          <CodeText text={error.hint} />
        </Text>
      )}
      {job.status === 'incomplete' && job.runAfterMs && (
        <Text size="sm" mt={4}>
          {t('The next attempt begins')} <Time ms={job.runAfterMs} />.
        </Text>
      )}
      {connection && SETTINGS_ERRORS.includes(error.type) && (
        <Group gap="xs" mt="sm">
          {ends.map(({ label, to, first }) => (
            <Button key={to} component={Link} to={to} size="xs" variant={first ? 'filled' : 'default'}>
              {label}
            </Button>
          ))}
        </Group>
      )}
    </Alert>
  );
}

/** Counts that disagree: each stream with its reason. */
export function Suspicions({ attempt }: { attempt: AttemptRead }) {
  const reasons = Object.entries(streamsOf(attempt)).flatMap(([key, result]) =>
    (result.suspicions ?? []).map((reason) => [key, reason] as const),
  );
  if (reasons.length === 0) return null;
  return (
    <Alert color="yellow" variant="light" icon={<IconAlertTriangle aria-hidden />} title={t('Two numbers disagree')}>
      <List size="sm">
        {reasons.slice(0, MAX_REASONS).map(([key, reason]) => (
          <List.Item key={`${key} ${reason}`} style={{ overflowWrap: 'anywhere' }}>
            <b>{key}</b>: {reason}
          </List.Item>
        ))}
      </List>
      {reasons.length > MAX_REASONS && <Text size="sm">{t('and {count} more', { count: reasons.length - MAX_REASONS })}</Text>}
    </Alert>
  );
}
