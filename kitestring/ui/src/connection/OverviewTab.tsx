/** What a connection did and what was done to it: age of the data, 30 days of syncs, jobs and changes in their order. */
import { Button, Card, Group, SimpleGrid, Stack, Text, ThemeIcon, Title } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck, IconCircleDashed, IconPlayerPlay } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';

import type { ConnectionDetail, ConnectionHistory } from '../api/schema.gen';
import { inWords } from '../connections/schedule';
import { useActions } from '../connections/useActions';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { count, duration } from '../shell/format';
import { Time } from '../shell/Time';
import { plural, t } from '../text';
import { daysOf, eventsOf, freshnessOf, historyQuery } from './history';
import { SyncBars } from './SyncBars';
import { Timeline } from './Timeline';

const MAX_EVENTS = 25;

export function OverviewTab({ connection, run }: { connection: ConnectionDetail; run: boolean }) {
  const history = useQuery(historyQuery(connection.connectionId, `${connection.job?.jobId} ${connection.job?.status} ${connection.status} ${connection.name}`));
  if (history.error) return <ErrorNote error={history.error} retry={() => void history.refetch()} />;
  if (!history.data) return <RowsSkeleton />;
  return (
    <Stack>
      {connection.job === null ? (
        <BeforeFirstSync connection={connection} run={run} />
      ) : (
        <Figures connection={connection} history={history.data} />
      )}
      <Card withBorder>
        <Title order={2} size="h5" mb="sm">
          {t('What happened')}
        </Title>
        <Timeline events={eventsOf(history.data, MAX_EVENTS)} />
      </Card>
    </Stack>
  );
}

/** What happens next, in place of charts that would be empty. */
function BeforeFirstSync({ connection, run }: { connection: ConnectionDetail; run: boolean }) {
  const { sync } = useActions(connection);
  const { name } = connection.destination;
  const scheduled = connection.status === 'active' && connection.nextRunAtMs;
  return (
    <Card withBorder padding="lg">
      <Stack gap="xs" align="flex-start">
        <Title order={2} size="h5">
          {t('The first sync has not run yet')}
        </Title>
        <Text size="sm">
          {plural(
            connection.streams.length,
            'It reads {count} stream from the beginning and writes it to {name}. Later syncs read only what changed, where the source can tell.',
            'It reads {count} streams from the beginning and writes them to {name}. Later syncs read only what changed, where the source can tell.',
            { name },
          )}
        </Text>
        <Text size="sm" c="dimmed">
          {scheduled ? (
            <>
              {t('It starts by its schedule')} <Time ms={connection.nextRunAtMs!} />.
            </>
          ) : (
            t('It starts only by hand.')
          )}
        </Text>
        {run && (
          <Button mt={4} leftSection={<IconPlayerPlay size={16} aria-hidden />} loading={sync.isPending} onClick={() => sync.mutate()}>
            {t('Start the first sync')}
          </Button>
        )}
      </Stack>
    </Card>
  );
}

function Figures({ connection, history }: { connection: ConnectionDetail; history: ConnectionHistory }) {
  const days = daysOf(history.days, Date.now());
  const records = days.reduce((sum, day) => sum + day.records, 0);
  const jobs = days.reduce((sum, day) => sum + day.jobs, 0);
  return (
    <>
      <SimpleGrid cols={{ base: 1, sm: 3 }}>
        <Freshness connection={connection} history={history} />
        <Figure title={t('Synced in 30 days')} value={plural(records, '{count} record', '{count} records')} note={plural(jobs, 'in {count} job', 'in {count} jobs')} />
        <Figure
          title={t('Streams')}
          value={count(connection.streams.length)}
          note={t('{synced} synced so far', { synced: connection.streams.filter((stream) => stream.last).length })}
        />
      </SimpleGrid>
      <Card withBorder>
        <Title order={2} size="h5" mb="sm">
          {t('The last 30 days')}
        </Title>
        <SyncBars days={days} />
      </Card>
    </>
  );
}

function Freshness({ connection, history }: { connection: ConnectionDetail; history: ConnectionHistory }) {
  const nowMs = Date.now();
  const state = freshnessOf(history, nowMs);
  const paused = connection.status !== 'active';
  const due = connection.schedule.continuous ? t('continuous') : history.intervalMs === null ? t('not scheduled') : t('due {schedule}', { schedule: inSentence(inWords(connection.schedule)) });
  const [color, icon] =
    state === 'none'
      ? ['gray', <IconCircleDashed key="none" size={18} aria-hidden />]
      : state === 'late' || paused
        ? ['orange', <IconAlertTriangle key="late" size={18} aria-hidden />]
        : ['green', <IconCircleCheck key="fresh" size={18} aria-hidden />];
  return (
    <Figure
      title={t('Age of the data')}
      value={history.freshAtMs === null ? t('No sync succeeded yet') : t('{age} old', { age: duration(Math.max(0, nowMs - history.freshAtMs)) })}
      icon={
        <ThemeIcon variant="light" color={color} size="lg" radius="xl">
          {icon}
        </ThemeIcon>
      }
      note={
        <>
          {paused ? t('paused') : state === 'late' ? t('late: {due}', { due }) : due}
          {!paused && connection.nextRunAtMs && (
            <>
              , {t('next')} <Time ms={connection.nextRunAtMs} />
            </>
          )}
        </>
      }
    />
  );
}

function Figure({ title, value, note, icon }: { title: string; value: string; note: ReactNode; icon?: ReactNode }) {
  return (
    <Card withBorder padding="md">
      <Group wrap="nowrap" gap="sm" align="flex-start">
        {icon}
        <Stack gap={2} miw={0}>
          <Text size="xs" c="dimmed">
            {title}
          </Text>
          <Text size="lg" fw={650} className="numbers">
            {value}
          </Text>
          <Text size="sm" c="dimmed">
            {note}
          </Text>
        </Stack>
      </Group>
    </Card>
  );
}

const inSentence = (words: string) => words.charAt(0).toLowerCase() + words.slice(1);
