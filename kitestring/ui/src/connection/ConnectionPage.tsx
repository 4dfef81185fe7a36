/** A connection: its status, and tabs for an overview, streams, jobs, state and settings. */
import { Alert, Anchor, Button, Group, Paper, Skeleton, Stack, Tabs, Text } from '@mantine/core';
import { IconPlayerPause, IconPlayerStop, IconRefresh } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';

import type { ConnectionDetail } from '../api/schema.gen';
import { ConfigurationButton } from '../configuration/ConfigurationButton';
import { LastSync } from '../connections/LastSync';
import { ACTIVE, conditionOf, connectionQuery, hasWritten, isDoubtful } from '../connections/overviews';
import { inWords } from '../connections/schedule';
import { useActions } from '../connections/useActions';
import { DataLink } from '../data/DataLink';
import { kindWord } from '../job/JobRow';
import { JobsTable } from '../job/JobsTable';
import { SyncProgress } from '../job/SyncProgress';
import { useWorkspace } from '../session/session';
import { CodeText } from '../shell/CodeText';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { PageHeader } from '../shell/PageHeader';
import { StatusBadge } from '../shell/StatusBadge';
import { Time } from '../shell/Time';
import { t } from '../text';
import { PauseButton } from './PauseButton';
import { SchemaChangesAlert } from './SchemaChangesAlert';
import { SlotLine } from './SlotLine';
import { WaitingDeletionsAlert } from './WaitingDeletionsAlert';

const route = getRouteApi('/shell/connections/$connectionId');
const OverviewTab = lazy(() => import('./OverviewTab').then((all) => ({ default: all.OverviewTab })));
const StreamsTab = lazy(() => import('./StreamsTab').then((all) => ({ default: all.StreamsTab })));
const StateTab = lazy(() => import('./StateTab').then((all) => ({ default: all.StateTab })));
const SettingsTab = lazy(() => import('./SettingsTab').then((all) => ({ default: all.SettingsTab })));

export function ConnectionPage() {
  const { connectionId } = route.useParams();
  const { tab = 'overview', stream } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery(connectionQuery(connectionId));
  const { may } = useWorkspace();
  const connection = query.data;
  if (!connection)
    return query.error ? (
      <ErrorNote error={query.error} retry={() => void query.refetch()} />
    ) : (
      <Stack>
        <Skeleton h={44} w={320} />
        <RowsSkeleton />
      </Stack>
    );
  return (
    <>
      <Head connection={connection} run={may('runner')} edit={may('editor')} />
      <Stack mb="md" gap="sm">
        {connection.job && ACTIVE.includes(connection.job.status) && (
          <Paper withBorder p="md">
            <SyncProgress job={connection.job} />
          </Paper>
        )}
        {connection.slot && <SlotLine slot={connection.slot} />}
        {connection.changes && <SchemaChangesAlert connection={connection} edit={may('editor')} />}
        {connection.job?.status === 'suspicious' && <WaitingDeletionsAlert connection={connection} edit={may('editor')} />}
        {connection.status !== 'active' && connection.statusReason && !connection.changes && (
          <Alert color="gray" icon={<IconPlayerPause aria-hidden />} title={t('Paused')} variant="light">
            <Text size="sm">{connection.statusReason}</Text>
          </Alert>
        )}
        {connection.job?.error && ['failed', 'incomplete', 'suspicious'].includes(connection.job.status) && !connection.changes && (
          <Alert
            color={connection.job.status === 'failed' ? 'red' : 'yellow'}
            variant="light"
            title={problemTitle(connection.job.status, kindWord(connection.job.kind), connection.job.error.message)}
          >
            <Group justify="space-between">
              <Text size="sm">
                <CodeText text={connection.job.error.hint} />
              </Text>
              <Anchor component={Link} to={`/jobs/${connection.job.jobId}`} size="sm" c="var(--mantine-color-text)" td="underline">
                {t('View job')}
              </Anchor>
            </Group>
          </Alert>
        )}
      </Stack>
      <Tabs
        value={tab}
        onChange={(value) => void navigate({ search: { tab: value ?? undefined }, replace: true })}
        keepMounted={false}
      >
        <Tabs.List mb="md">
          <Tabs.Tab value="overview">{t('Overview')}</Tabs.Tab>
          <Tabs.Tab value="streams">{t('Streams & fields ({count})', { count: connection.streams.length })}</Tabs.Tab>
          <Tabs.Tab value="jobs">{t('Jobs')}</Tabs.Tab>
          <Tabs.Tab value="state">{t('State')}</Tabs.Tab>
          <Tabs.Tab value="settings">{t('Settings')}</Tabs.Tab>
        </Tabs.List>
        <Suspense fallback={<RowsSkeleton />}>
          <Tabs.Panel value="overview">
            <OverviewTab key={connectionId} connection={connection} run={may('runner')} />
          </Tabs.Panel>
          <Tabs.Panel value="streams">
            <StreamsTab key={connection.connectionId} connection={connection} run={may('runner')} edit={may('editor')} opened={stream} />
          </Tabs.Panel>
          <Tabs.Panel value="jobs">
            <JobsTable key={connectionId} of={{ connectionId }} running={connection.job?.jobId} />
          </Tabs.Panel>
          <Tabs.Panel value="state">
            <StateTab key={connectionId} connection={connection} edit={may('editor')} />
          </Tabs.Panel>
          <Tabs.Panel value="settings">
            <SettingsTab key={connection.connectionId} connection={connection} edit={may('editor')} />
          </Tabs.Panel>
        </Suspense>
      </Tabs>
    </>
  );
}

function problemTitle(status: string, kind: string, message: string): string {
  if (status === 'incomplete') return t('{kind} will be retried: {message}', { kind, message });
  if (status === 'failed') return t('{kind} failed: {message}', { kind, message });
  return t('{kind} is suspicious: {message}', { kind, message });
}

function Head({ connection, run, edit }: { connection: ConnectionDetail; run: boolean; edit: boolean }) {
  const { sync, cancel } = useActions(connection);
  const running = connection.job !== null && ACTIVE.includes(connection.job.status);
  const paused = connection.status !== 'active';
  // The default name of a connection: not repeated below it.
  const pair = `${connection.source.name} → ${connection.destination.name}`;
  return (
    <PageHeader
      title={connection.name}
      above={
        <Anchor component={Link} to="/connections" size="sm">
          {t('Connections')}
        </Anchor>
      }
      note={
        <Group gap="sm" style={{ rowGap: 4 }}>
          <StatusBadge status={conditionOf(connection)} />
          {isDoubtful(connection) && <StatusBadge status="suspicious" />}
          {connection.name !== pair && <span>{pair}</span>}
          <span>
            {inWords(connection.schedule)}
            {connection.nextRunAtMs && !paused && (
              <>
                , {t('next')} <Time ms={connection.nextRunAtMs} />
              </>
            )}
          </span>
          {connection.job && <LastSync connection={connection} />}
          {hasWritten(connection) ? (
            <DataLink size="sm" destinationId={connection.destination.id} connectionId={connection.connectionId} />
          ) : (
            running && <span>{t('No data to see yet')}</span>
          )}
        </Group>
      }
    >
      <ConfigurationButton workspaceId={connection.workspaceId} part={{ kind: 'connection', name: connection.name }} />
      {edit && <PauseButton connection={connection} />}
      {running && connection.job && (
        <Button variant="default" component={Link} to={`/jobs/${connection.job.jobId}`}>
          {t('Open the job')}
        </Button>
      )}
      {run &&
        (running ? (
          <Button
            color="red.8"
            leftSection={<IconPlayerStop size={16} aria-hidden />}
            loading={cancel.isPending}
            disabled={connection.job?.cancelRequested}
            onClick={() => cancel.mutate()}
          >
            {connection.job?.cancelRequested ? t('Stopping …') : t('Cancel')}
          </Button>
        ) : (
          <Button leftSection={<IconRefresh size={16} aria-hidden />} loading={sync.isPending} onClick={() => sync.mutate()} aria-keyshortcuts="s">
            {t('Sync now')}
          </Button>
        ))}
    </PageHeader>
  );
}
