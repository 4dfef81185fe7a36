/** A connection: its status, and tabs for streams, jobs, state and settings. */
import { Alert, Anchor, Button, Group, Skeleton, Stack, Tabs, Text } from '@mantine/core';
import { IconPlayerPause, IconPlayerPlay, IconPlayerStop, IconRefresh } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';

import type { ConnectionDetail } from '../api/schema.gen';
import { LastSync } from '../connections/LastSync';
import { ACTIVE, conditionOf, connectionQuery } from '../connections/overviews';
import { inWords } from '../connections/schedule';
import { useActions } from '../connections/useActions';
import { JobsTable } from '../job/JobsTable';
import { useWorkspace } from '../session/session';
import { ErrorNote } from '../shell/ErrorNote';
import { count } from '../shell/format';
import { PageHeader } from '../shell/PageHeader';
import { StatusBadge } from '../shell/StatusBadge';
import { Time } from '../shell/Time';
import { SchemaChangesAlert } from './SchemaChangesAlert';
import { StreamsTab } from './StreamsTab';

const route = getRouteApi('/shell/connections/$connectionId');
const StateTab = lazy(() => import('./StateTab').then((all) => ({ default: all.StateTab })));
const SettingsTab = lazy(() => import('./SettingsTab').then((all) => ({ default: all.SettingsTab })));

export function ConnectionPage() {
  const { connectionId } = route.useParams();
  const { tab = 'streams' } = route.useSearch();
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
        <Skeleton h={300} />
      </Stack>
    );
  return (
    <>
      <Head connection={connection} run={may('runner')} edit={may('editor')} />
      <Stack mb="md" gap="sm">
        {connection.changes && <SchemaChangesAlert connection={connection} edit={may('editor')} />}
        {connection.status !== 'active' && connection.statusReason && !connection.changes && (
          <Alert color="gray" icon={<IconPlayerPause aria-hidden />} title="Paused" variant="light">
            <Text size="sm">{connection.statusReason}</Text>
          </Alert>
        )}
        {connection.job?.error && ['failed', 'incomplete', 'suspicious'].includes(connection.job.status) && !connection.changes && (
          <Alert
            color={connection.job.status === 'failed' ? 'red' : 'yellow'}
            variant="light"
            title={`The last ${connection.job.kind} ${connection.job.status === 'incomplete' ? 'will be retried' : connection.job.status === 'failed' ? 'failed' : 'is suspicious'}: ${connection.job.error.message}`}
          >
            <Group justify="space-between">
              <Text size="sm">{connection.job.error.hint}</Text>
              <Anchor component={Link} to={`/jobs/${connection.job.jobId}`} size="sm" c="var(--mantine-color-text)" td="underline">
                View job
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
          <Tabs.Tab value="streams">Streams ({count(connection.streams.length)})</Tabs.Tab>
          <Tabs.Tab value="jobs">Jobs</Tabs.Tab>
          <Tabs.Tab value="state">State</Tabs.Tab>
          <Tabs.Tab value="settings">Settings</Tabs.Tab>
        </Tabs.List>
        <Suspense fallback={<Skeleton h={240} />}>
          <Tabs.Panel value="streams">
            <StreamsTab connection={connection} run={may('runner')} edit={may('editor')} />
          </Tabs.Panel>
          <Tabs.Panel value="jobs">
            <JobsTable of={{ connectionId }} running={connection.job?.jobId} />
          </Tabs.Panel>
          <Tabs.Panel value="state">
            <StateTab connection={connection} edit={may('editor')} />
          </Tabs.Panel>
          <Tabs.Panel value="settings">
            <SettingsTab key={connection.connectionId} connection={connection} edit={may('editor')} />
          </Tabs.Panel>
        </Suspense>
      </Tabs>
    </>
  );
}

function Head({ connection, run, edit }: { connection: ConnectionDetail; run: boolean; edit: boolean }) {
  const { sync, cancel, pause, resume } = useActions(connection);
  const running = connection.job !== null && ACTIVE.includes(connection.job.status);
  const paused = connection.status !== 'active';
  return (
    <PageHeader
      title={connection.name}
      above={
        <Anchor component={Link} to="/connections" size="sm">
          Connections
        </Anchor>
      }
      note={
        <Group gap="sm" style={{ rowGap: 4 }}>
          <StatusBadge status={conditionOf(connection)} />
          <span>
            {connection.source.name} → {connection.destination.name}
          </span>
          <span>
            {inWords(connection.schedule)}
            {connection.nextRunAtMs && !paused && (
              <>
                , next <Time ms={connection.nextRunAtMs} />
              </>
            )}
          </span>
          {connection.job && <LastSync connection={connection} line />}
        </Group>
      }
    >
      {edit &&
        (paused ? (
          <Button
            variant="default"
            leftSection={<IconPlayerPlay size={16} aria-hidden />}
            loading={resume.isPending}
            disabled={connection.changes !== null}
            onClick={() => resume.mutate()}
          >
            Resume
          </Button>
        ) : (
          <Button
            variant="default"
            leftSection={<IconPlayerPause size={16} aria-hidden />}
            loading={pause.isPending}
            onClick={() => pause.mutate()}
          >
            Pause
          </Button>
        ))}
      {running && connection.job && (
        <Button variant="default" component={Link} to={`/jobs/${connection.job.jobId}`}>
          Follow
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
            {connection.job?.cancelRequested ? 'Stopping …' : 'Cancel'}
          </Button>
        ) : (
          <Button leftSection={<IconRefresh size={16} aria-hidden />} loading={sync.isPending} onClick={() => sync.mutate()}>
            Sync now
          </Button>
        ))}
    </PageHeader>
  );
}
