/** The streams of an existing connection, with the changes since they were chosen. */
import { Alert, Anchor, Breadcrumbs, Button, Card, Group, Loader, Stack, Text } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useEffect, useMemo, useState } from 'react';

import { api, OWN, PUBLIC } from '../api/client';
import { queryClient } from '../api/queries';
import type { Connection, ConnectionStream, SchemaChanges } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { PageHeader } from '../shell/PageHeader';
import { notifySuccess } from '../shell/notify';
import { type StreamConfig, keyOf, missingSetting, offeredKey, offeredQuery } from './streams';
import { type Choice, StreamsTable } from './StreamsTable';

export function EditStreamsPage() {
  const { connectionId } = useParams({ strict: false }) as { connectionId: string };
  const navigate = useNavigate();
  const connection = useQuery({
    queryKey: ['connection', connectionId, 'public'],
    queryFn: () => api.get<Connection>(`${PUBLIC}/connections/${connectionId}`),
  });
  const { sourceId = '', destinationId = '' } = connection.data ?? {};
  // Reads the source again; the server caches the result, and the streams are read from it.
  const difference = useQuery({
    queryKey: ['connection', connectionId, 'diff'],
    queryFn: () => api.post<SchemaChanges>(`${OWN}/connections/${connectionId}/diff`),
    enabled: connection.data !== undefined,
    staleTime: 60_000,
    retry: false,
  });
  const offered = useQuery({ ...offeredQuery(sourceId, destinationId, false), enabled: difference.isSuccess, staleTime: 0 });
  const [choice, setChoice] = useState<Choice>();

  const configured = useMemo(
    () => new Map((connection.data?.configurations.streams ?? []).map((stream) => [keyOf(stream), withoutEmptyLists(stream)])),
    [connection.data],
  );
  useEffect(() => {
    if (connection.data && !choice) setChoice(configured);
  }, [connection.data, configured, choice]);
  const diff = useMemo(() => {
    const offeredKeys = new Set((offered.data ?? []).map(offeredKey));
    return {
      added: new Set(difference.data?.newStreams),
      removed: offered.data ? [...configured.keys()].filter((key) => !offeredKeys.has(key)) : [],
    };
  }, [difference.data, offered.data, configured]);

  const saving = useMutation({
    mutationFn: () => {
      const streams = [...choice!.entries()].filter(([key]) => !diff.removed.includes(key)).map(([, stream]) => stream);
      return api.patch(`${PUBLIC}/connections/${connectionId}`, { configurations: { streams } });
    },
    onSuccess: async () => {
      void queryClient.invalidateQueries();
      notifySuccess('The streams were saved');
      await navigate({ to: `/connections/${connectionId}` });
    },
  });

  const incomplete = (offered.data ?? []).filter((stream) => {
    const chosen = choice?.get(offeredKey(stream));
    return chosen && missingSetting(stream, chosen);
  }).length;
  const remaining = choice ? [...choice.keys()].filter((key) => !diff.removed.includes(key)).length : 0;
  return (
    <>
      <PageHeader
        title="Streams"
        above={
          <Breadcrumbs>
            <Anchor component={Link} to="/connections" size="sm">
              Connections
            </Anchor>
            <Anchor component={Link} to={`/connections/${connectionId}`} size="sm">
              {connection.data?.name ?? '…'}
            </Anchor>
          </Breadcrumbs>
        }
      />
      <Stack>
        {connection.error && <ErrorNote error={connection.error} retry={() => void connection.refetch()} />}
        {offered.error && <ErrorNote error={offered.error} retry={() => void offered.refetch()} />}
        {difference.error && <ErrorNote error={difference.error} retry={() => void difference.refetch()} />}
        {!connection.error && !offered.error && !difference.error && (!offered.data || !choice) && (
          <Card withBorder padding="xl">
            <Group justify="center">
              <Loader size="sm" aria-hidden />
              <Text role="status">Reading the streams of the source…</Text>
            </Group>
          </Card>
        )}
        {offered.data && choice && (
          <>
            {difference.data && <SchemaDiff difference={difference.data} />}
            {diff.removed.length > 0 && (
              <Alert
                variant="light"
                color="yellow"
                title={diff.removed.length === 1 ? 'One stream was removed from the source' : `${diff.removed.length} streams were removed from the source`}
              >
                {diff.removed.slice(0, 20).join(', ')}. Saving removes {diff.removed.length === 1 ? 'it' : 'them'} from the
                connection; the data in the destination stays.
              </Alert>
            )}
            <StreamsTable offered={offered.data} choice={choice} newKeys={diff.added} onChange={setChoice} />
            {saving.error && <ErrorNote error={saving.error} />}
            <Group justify="flex-end">
              {incomplete > 0 && (
                <Text size="sm" c="var(--mantine-color-error)">
                  {incomplete === 1 ? 'One stream lacks' : `${incomplete} streams lack`} a cursor or a key.
                </Text>
              )}
              <Button variant="default" component={Link} to={`/connections/${connectionId}`}>
                Cancel
              </Button>
              <Button loading={saving.isPending} disabled={remaining === 0 || incomplete > 0} onClick={() => saving.mutate()}>
                Save the streams
              </Button>
            </Group>
          </>
        )}
      </Stack>
    </>
  );
}

const KINDS = [
  ['newStreams', 'New streams'],
  ['newFields', 'New fields'],
  ['goneFields', 'Removed fields'],
  ['otherTypes', 'Fields with a changed type'],
] as const;
const MAX_NAMES = 20;

function SchemaDiff({ difference }: { difference: SchemaChanges }) {
  const kinds = KINDS.filter(([kind]) => difference[kind].length > 0);
  if (kinds.length === 0) return null;
  return (
    <Alert variant="light" color="kite" role="note" title="The source schema changed since the streams were chosen">
      <Stack gap={4}>
        {kinds.map(([kind, title]) => (
          <Text key={kind} size="sm" style={{ overflowWrap: 'anywhere' }}>
            <b>{title}:</b> {difference[kind].slice(0, MAX_NAMES).join(', ')}
            {difference[kind].length > MAX_NAMES && ` and ${difference[kind].length - MAX_NAMES} more`}
          </Text>
        ))}
        <Text size="sm">Saving applies the new schema.</Text>
      </Stack>
    </Alert>
  );
}

/** Drop empty lists: the API returns every list, and an empty list means the source's default. */
function withoutEmptyLists(stream: ConnectionStream): StreamConfig {
  return Object.fromEntries(Object.entries(stream).filter(([, value]) => !Array.isArray(value) || value.length > 0)) as StreamConfig;
}
