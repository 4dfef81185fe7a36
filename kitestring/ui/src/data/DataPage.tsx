/** What the destinations hold: streams with counts, rows with filters, a search by meaning, a map of chunks. */
import { Alert, Anchor, Button, Group, Paper, SegmentedControl, Skeleton, Stack, Text } from '@mantine/core';
import { IconAlertTriangle, IconTable } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useState } from 'react';

import type { DataChunk, DataStream } from '../api/schema.gen';
import { connectorsQuery, overviewQuery, overviewsQuery } from '../endpoint/endpoints';
import { useWorkspace } from '../session/session';
import { EmptyState } from '../shell/EmptyState';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { PageHeader } from '../shell/PageHeader';
import { t } from '../text';
import { useWritingJob, WritingNote } from './busy';
import { chosenStream, type DataParams, streamsQuery } from './data';
import classes from './data.module.css';
import { CHOICES, DestinationChoice } from './DestinationChoice';
import { FilterBar } from './FilterBar';
import { withCondition } from './filter';
import { LastRead } from './LastRead';
import { MapView } from './MapView';
import { type OpenRow, RowPanel } from './RowPanel';
import { RowsView } from './RowsView';
import { SearchView } from './SearchView';
import { StreamList, Writers } from './StreamList';

const route = getRouteApi('/shell/data');

export function DataPage() {
  const { workspaceId } = useWorkspace();
  const params: DataParams = route.useSearch();
  const navigate = route.useNavigate();
  const first = useQuery(overviewsQuery('destination', workspaceId, { browsable: true }, CHOICES));
  const named = useQuery({ ...overviewQuery('destination', params.in ?? ''), enabled: params.in !== undefined });
  const connectors = useQuery(connectorsQuery('destination', workspaceId));
  const byDefinition = new Map((connectors.data ?? []).map((connector) => [connector.definitionId, connector]));
  const destination = params.in === undefined ? first.data?.data[0] : named.data && byDefinition.get(named.data.definitionId)?.browsable ? named.data : undefined;
  const wrong = [first, connectors].find((query) => query.error);
  if (wrong) return <ErrorNote error={wrong.error} retry={() => void wrong.refetch()} />;
  const loaded = first.data !== undefined && connectors.data !== undefined && !(params.in !== undefined && named.isPending);
  return (
    <>
      <PageHeader title={t('Data')} note={t('The contents of your destinations.')}>
        {first.data && first.data.total > 0 && (
          <DestinationChoice chosen={destination} workspaceId={workspaceId} choose={(id) => void navigate({ search: { in: id, view: params.view } })} />
        )}
      </PageHeader>
      {!loaded && <BrowserSkeleton />}
      {loaded && !destination && (
        <Paper withBorder>
          <EmptyState
            icon={<IconTable size={28} aria-hidden />}
            title={params.in ? t('Kitestring cannot read this destination') : t('No data yet')}
            action={
              <Button component={Link} to="/connections/new">
                {t('New connection')}
              </Button>
            }
          >
            {params.in ? t('Choose another destination, if there is one.') : t('Connect a source to a destination: then browse the synced data here.')}
          </EmptyState>
        </Paper>
      )}
      {destination && loaded && (
        <Browser
          key={destination.id}
          destinationId={destination.id}
          searchable={byDefinition.get(destination.definitionId)?.searchable ?? false}
          params={params}
          go={(changes, replace) => void navigate({ search: { ...params, in: destination.id, from: undefined, ...changes }, replace })}
        />
      )}
    </>
  );
}

/** The outline of streams and rows. */
function BrowserSkeleton() {
  return (
    <div className={classes.layout} role="status" aria-label={t('Loading')}>
      <Stack gap="sm">
        {Array.from({ length: 3 }, (_, n) => (
          <Stack key={n} gap={6}>
            <Skeleton h={14} w={`${70 - 15 * n}%`} />
            <Skeleton h={10} w="80%" />
          </Stack>
        ))}
      </Stack>
      <RowsSkeleton label={t('Loading')} />
    </div>
  );
}

interface BrowserProps {
  destinationId: string;
  searchable: boolean;
  params: DataParams;
  go: (changes: DataParams, replace?: boolean) => void;
}

function Browser({ destinationId, searchable, params, go }: BrowserProps) {
  const streams = useQuery(streamsQuery(destinationId));
  const [opened, setOpened] = useState<OpenRow | null>(null);
  const writing = useWritingJob(streams);
  if (writing !== undefined && !streams.data) return <WritingNote job={writing} />;
  if (streams.error && writing === undefined) return <ErrorNote error={streams.error} retry={() => void streams.refetch()} />;
  if (!streams.data) return <BrowserSkeleton />;
  const { data, chunks, note } = streams.data;
  const stream = chosenStream(data, params);
  const view = (params.view === 'search' && searchable) || (params.view === 'map' && chunks) ? params.view : 'rows';
  const views = [
    { value: 'rows', label: t('Rows') },
    ...(searchable ? [{ value: 'search', label: t('Search') }] : []),
    ...(chunks ? [{ value: 'map', label: t('Map') }] : []),
  ];
  const where = params.where ?? '';
  const show = (chunk: DataChunk) => setOpened({ row: chunk });
  // Of a search and a map a stream is a part, of rows it is the whole.
  const choose = (next: DataStream | undefined) =>
    go({ stream: next?.name, namespace: next?.namespace ?? undefined, page: undefined, ...(view === 'rows' && { where: undefined }) });
  const filter = (field: string, value: unknown) => {
    setOpened(null);
    go({ where: withCondition(where, field, value), page: undefined, view: view === 'map' ? 'map' : undefined, stream: stream?.name, namespace: stream?.namespace ?? undefined });
  };

  if (data.length === 0) {
    return (
      <Paper withBorder>
        <EmptyState icon={<IconTable size={28} aria-hidden />} title={t('Nothing was synced into this destination')}>
          {t('Its streams appear here after the first sync.')}
        </EmptyState>
      </Paper>
    );
  }
  return (
    <div className={classes.layout}>
      <StreamList streams={data} chosen={view === 'rows' || params.stream !== undefined ? stream : undefined} all={view !== 'rows'} chunks={chunks} choose={choose} />
      <Stack gap="md" miw={0}>
        <Group justify="space-between" gap="xs">
          {views.length > 1 ? (
            <SegmentedControl
              aria-label={t('View')}
              data={views}
              value={view}
              onChange={(value) => go({ view: value === 'rows' ? undefined : value, page: undefined, text: undefined, limit: undefined })}
            />
          ) : (
            <span />
          )}
          {view === 'rows' && stream && (
            <Writers
              stream={stream}
              link={(connectionId, name) => (
                <Anchor key={connectionId} component={Link} to={`/connections/${connectionId}` as never} size="sm">
                  {name}
                </Anchor>
              )}
            />
          )}
        </Group>
        {view === 'rows' && stream && <LastRead stream={stream} />}
        {!streams.data.listed && (
          <Text size="sm" c="dimmed">
            {t('This store cannot list its streams: these are the streams of its connections.')}
          </Text>
        )}
        {note && view !== 'rows' && (
          <Alert variant="light" color="yellow" role="note" icon={<IconAlertTriangle aria-hidden />} title={note}>
            <Text size="sm">{t('Choose another embedder in the settings of the destination, then refresh its streams.')}</Text>
          </Alert>
        )}
        {view === 'search' ? (
          <SearchView destinationId={destinationId} params={params} ask={(changes) => go({ ...changes, view: 'search' })} open={show} />
        ) : (
          <>
            <FilterBar
              where={where}
              apply={(next) => go({ where: next || undefined, page: undefined })}
              deleted={Boolean(params.deleted)}
              showDeleted={view === 'rows' ? (deleted) => go({ deleted: deleted ? '1' : undefined, page: undefined }) : undefined}
            />
            {view === 'map' ? (
              <MapView destinationId={destinationId} streams={data} params={params} open={show} />
            ) : stream ? (
              <RowsView destinationId={destinationId} stream={stream} params={params} turn={(page) => go({ page: page > 1 ? page : undefined })} open={setOpened} filter={filter} />
            ) : (
              <Paper withBorder>
                <EmptyState icon={<IconTable size={28} aria-hidden />} title={t('This stream does not exist')}>
                  {t('It was not synced yet, or it was cleared. Choose another stream.')}
                </EmptyState>
              </Paper>
            )}
          </>
        )}
      </Stack>
      <RowPanel destinationId={destinationId} opened={opened} close={() => setOpened(null)} show={show} filter={filter} />
    </div>
  );
}
