/** Jobs of a connection and changes to it, the newest first: a change of a setting beside the sync that it broke. */
import { Anchor, Box, Code, Group, Stack, Text, ThemeIcon } from '@mantine/core';
import { IconArrowsExchange, IconDatabaseCog, IconPencil, IconPlus, IconTrash } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import type { ChangedSetting, ConnectionChange, JobSummary } from '../api/schema.gen';
import { actorName } from '../session/anonymous';
import { duration } from '../shell/format';
import { StatusBadge } from '../shell/StatusBadge';
import { Time } from '../shell/Time';
import { plural, t } from '../text';
import type { Event } from './history';

export function Timeline({ events }: { events: Event[] }) {
  if (events.length === 0)
    return (
      <Text size="sm" c="dimmed">
        {t('Nothing yet.')}
      </Text>
    );
  return (
    <Stack gap={0} role="list" aria-label={t('What happened')}>
      {events.map((event, n) => (
        <Group key={n} role="listitem" className="panel-row" gap="sm" py={8} align="flex-start" wrap="nowrap">
          <Box style={{ flex: 1 }} miw={0}>
            {'job' in event ? <Job job={event.job} /> : <Change change={event.change} />}
          </Box>
          <Text size="xs" c="dimmed" style={{ whiteSpace: 'nowrap' }}>
            <Time ms={event.atMs} />
          </Text>
        </Group>
      ))}
    </Stack>
  );
}

const KINDS: Record<string, () => string> = {
  sync: () => t('Sync'),
  refresh: () => t('Refresh'),
  clear: () => t('Clear'),
  backfill: () => t('Backfill'),
};

function Job({ job }: { job: JobSummary }) {
  const took = job.startedAtMs && job.endedAtMs ? duration(job.endedAtMs - job.startedAtMs) : undefined;
  return (
    <Stack gap={2}>
      <Group gap="xs">
        <StatusBadge status={job.status} />
        <Anchor component={Link} to={`/jobs/${job.jobId}`} size="sm">
          {KINDS[job.kind]?.() ?? job.kind} {job.jobId}
        </Anchor>
        <Text size="sm" c="dimmed" className="numbers">
          {[job.records > 0 && plural(job.records, '{count} record', '{count} records'), took, job.cause === 'schedule' ? t('by schedule') : undefined]
            .filter(Boolean)
            .join(' · ')}
        </Text>
      </Group>
      {job.error && (
        <Text size="sm" lineClamp={2}>
          {job.error.message}
        </Text>
      )}
    </Stack>
  );
}

function Change({ change }: { change: ConnectionChange }) {
  const [icon, sentence] = wordsOf(change);
  return (
    <Group gap="xs" align="flex-start" wrap="nowrap">
      <ThemeIcon variant="light" color="gray" size="sm" mt={1}>
        {icon}
      </ThemeIcon>
      <Stack gap={2} miw={0}>
        <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
          {change.actor && <b>{actorName(change.actor)} </b>}
          {change.actor ? sentence.charAt(0).toLowerCase() + sentence.slice(1) : sentence}
        </Text>
        {change.kind === 'connection' &&
          change.fields
            .filter((field) => field.before !== undefined || field.after !== undefined)
            .map((field) => (
              <Text key={field.name} size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
                {settingName(field)}: <Code>{valueText(field.before)}</Code> → <Code>{valueText(field.after)}</Code>
              </Text>
            ))}
      </Stack>
    </Group>
  );
}

const ICON = 14;

function wordsOf(change: ConnectionChange): [ReactNode, string] {
  switch (change.kind) {
    case 'schema_change': {
      const decisions: Record<string, string> = {
        ask: t('Paused because of a schema change: {changes}.', { changes: change.sentence ?? '' }),
        adopt: t('Applied a schema change: {changes}.', { changes: change.sentence ?? '' }),
        accept: t('Accepted a schema change: {changes}.', { changes: change.sentence ?? '' }),
        dismiss: t('Dismissed a schema change: {changes}.', { changes: change.sentence ?? '' }),
      };
      return [<IconArrowsExchange key="icon" size={ICON} aria-hidden />, decisions[change.action] ?? change.action];
    }
    case 'state':
      return [<IconDatabaseCog key="icon" size={ICON} aria-hidden />, change.action === 'delete' ? t('Reset the state of a stream.') : t('Changed the state of a stream.')];
    case 'connection_tag':
      return [<IconPencil key="icon" size={ICON} aria-hidden />, t('Changed the tags.')];
    default:
      if (change.action === 'create') return [<IconPlus key="icon" size={ICON} aria-hidden />, t('Created the connection.')];
      if (change.action === 'delete') return [<IconTrash key="icon" size={ICON} aria-hidden />, t('Deleted the connection.')];
      return [
        <IconPencil key="icon" size={ICON} aria-hidden />,
        t('Changed {settings}.', { settings: change.fields.map(settingName).join(', ') }),
      ];
  }
}

function settingName(field: ChangedSetting): string {
  const names: Record<string, string> = {
    name: t('the name'),
    schedule: t('the schedule'),
    status: t('the status'),
    streams: t('the streams'),
    schema_policy: t('the handling of schema changes'),
    prefix: t('the prefix'),
    namespace_definition: t('the namespace'),
    namespace_format: t('the namespace'),
    options: t('the options'),
    connector_version: t('the version of the connector of the source'),
  };
  return names[field.name] ?? field.name.replaceAll('_', ' ');
}

const valueText = (value: unknown) => (value === null || value === undefined || value === '' ? t('empty') : String(value));
