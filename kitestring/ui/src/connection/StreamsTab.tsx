/** The streams of a connection: status and configuration in one table, with the fields and mappers of each inside. */
import { Alert, Button, Group, Menu, Stack, Text } from '@mantine/core';
import { IconChevronDown, IconEraser, IconRefresh, IconZoomScan } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';

import { api, OWN } from '../api/client';
import type { ConnectionDetail, SchemaChanges, StreamProperty } from '../api/schema.gen';
import { ACTIVE } from '../connections/overviews';
import { useActions } from '../connections/useActions';
import { endpointQuery } from '../endpoint/endpoints';
import { type Confirmation, Confirm } from '../shell/Confirm';
import { DraftNote } from '../shell/DraftNote';
import { ErrorNote } from '../shell/ErrorNote';
import { LeaveGuard } from '../shell/LeaveGuard';
import { keepAll, useDraft } from '../shell/useDraft';
import { isChanged } from '../streams/consequences';
import { textFieldsOf } from '../streams/embedded';
import { EmbeddedFields } from '../streams/EmbeddedFields';
import { problemOf } from '../streams/problem';
import { StreamDetails } from '../streams/StreamDetails';
import { StreamsTable } from '../streams/StreamsTable';
import { type Choice, type StreamConfig, keyOf, offeredKey, offeredOf, offeredQuery } from '../streams/streams';
import { plural, t } from '../text';
import { Backfill } from './Backfill';
import { savedChoice } from './savedChoice';
import { SchemaDifference } from './SchemaDifference';
import { SaveStreams } from './SaveStreams';
import { StreamMenu } from './StreamMenu';
import { clearDialog, refreshDialog } from './dialogs';

export function StreamsTab({ connection, run, edit, opened }: { connection: ConnectionDetail; run: boolean; edit: boolean; opened?: string }) {
  const client = useQueryClient();
  const { invalidate } = useActions(connection);
  const sourceId = connection.source.id;
  const offered = useQuery(offeredQuery(sourceId, connection.destination.id, false));
  const destination = useQuery(endpointQuery('destination', connection.destination.id));
  const textFields = useMemo(() => textFieldsOf(destination.data?.configuration), [destination.data]);
  const savedStreams = useMemo(() => savedChoice(connection), [connection]);
  const saved: Choice = useMemo(() => new Map(Object.entries(savedStreams)), [savedStreams]);
  const draft = useDraft<Record<string, StreamConfig>>(`streams ${connection.connectionId}`, savedStreams, keepAll);
  const choice = useMemo(() => new Map(Object.entries(draft.value)), [draft.value]);
  const [saving, setSaving] = useState(false);
  const [confirmation, setConfirmation] = useState<Confirmation | null>(null);
  const [backfillStream, setBackfillStream] = useState<string | null>(null);
  const discovery = useMutation({
    mutationFn: () => api.post<SchemaChanges>(`${OWN}/connections/${connection.connectionId}/diff`),
    onSuccess: () => client.invalidateQueries({ queryKey: ['offered', sourceId] }),
  });

  const changed = draft.isChanged && isChanged(saved, choice);
  const removed = useMemo(() => {
    const keys = new Set(offered.data?.map(offeredKey));
    return new Set(offered.data ? [...saved.keys()].filter((key) => !keys.has(key)) : []);
  }, [offered.data, saved]);
  // The status is shown at once; what else the source has follows.
  const rows = useMemo(() => {
    const kept = [...saved].filter(([key]) => !offered.data || removed.has(key)).map(([, stream]) => offeredOf(stream));
    const synced = (stream: StreamProperty) => saved.has(offeredKey(stream));
    const others = offered.data ?? [];
    return [...kept, ...others.filter(synced), ...others.filter((stream) => !synced(stream))];
  }, [offered.data, saved, removed]);
  const results = useMemo(
    () => new Map(connection.streams.flatMap((stream) => (stream.last ? [[keyOf(stream), stream.last] as const] : []))),
    [connection.streams],
  );
  const busy = connection.job !== null && ACTIVE.includes(connection.job.status);
  const problem = problemOf(textFields, connection.destination.name);
  const wrong = rows.filter((stream) => {
    const chosen = choice.get(offeredKey(stream));
    return chosen && !removed.has(offeredKey(stream)) && problem(stream, chosen);
  }).length;
  const refresh = (keys: string[]) => setConfirmation(refreshDialog(connection, keys, invalidate));
  const clear = (keys: string[]) => setConfirmation(clearDialog(connection, keys, invalidate));

  return (
    <Stack gap="sm">
      <DraftNote draft={draft} />
      {offered.error && <ErrorNote error={offered.error} retry={() => void offered.refetch()} />}
      {discovery.error && <ErrorNote error={discovery.error} retry={() => discovery.mutate()} />}
      {discovery.data && <SchemaDifference difference={discovery.data} onClose={discovery.reset} />}
      {removed.size > 0 && (
        <Alert variant="light" color="yellow" title={plural(removed.size, 'One stream was removed from the source', '{count} streams were removed from the source')}>
          {t('Saving removes {streams} from the connection; the data in the destination stays.', { streams: [...removed].slice(0, 20).join(', ') })}
        </Alert>
      )}
      {destination.data && <EmbeddedFields sourceId={sourceId} destination={destination.data} editable={edit} />}
      <StreamsTable
        key={opened}
        opened={opened}
        offered={rows}
        choice={choice}
        // A change that was taken back, in whatever order, is none.
        onChange={(next) => (isChanged(saved, next) ? draft.set(Object.fromEntries(next)) : draft.reset())}
        editable={edit && offered.isSuccess}
        newKeys={new Set(discovery.data?.newStreams)}
        goneKeys={removed}
        results={results}
        problem={problem}
        bulk={(keys) => {
          const synced = keys.filter((key) => saved.has(key));
          return (
            <Group gap="xs">
              {run && (
                <Button variant="default" leftSection={<IconZoomScan size={16} aria-hidden />} loading={discovery.isPending} onClick={() => discovery.mutate()}>
                  {t('Refresh the schema')}
                </Button>
              )}
              {run && synced.length > 1 && (
                <Menu position="bottom-end">
                  <Menu.Target>
                    <Button variant="default" rightSection={<IconChevronDown size={15} aria-hidden />}>
                      {plural(synced.length, 'Actions for {count} stream', 'Actions for {count} streams')}
                    </Button>
                  </Menu.Target>
                  <Menu.Dropdown>
                    <Menu.Item leftSection={<IconRefresh size={15} aria-hidden />} disabled={busy} onClick={() => refresh(synced)}>
                      {t('Refresh …')}
                    </Menu.Item>
                    {edit && (
                      <Menu.Item leftSection={<IconEraser size={15} aria-hidden />} color="red" disabled={busy} onClick={() => clear(synced)}>
                        {t('Clear …')}
                      </Menu.Item>
                    )}
                  </Menu.Dropdown>
                </Menu>
              )}
            </Group>
          );
        }}
        actions={(key) => {
          const stream = saved.get(key);
          if (!stream) return null;
          return <StreamMenu connectionId={connection.connectionId} destinationId={connection.destination.id} streamKey={key} syncMode={stream.syncMode} busy={busy} run={run} edit={edit} onRefresh={refresh} onClear={clear} onBackfill={setBackfillStream} />;
        }}
        details={(stream, chosen, change) => (
          <StreamDetails
            sourceId={sourceId}
            destinationId={connection.destination.id}
            stream={stream}
            chosen={chosen}
            textFields={textFields}
            editable={edit && offered.isSuccess && !removed.has(offeredKey(stream))}
            onChange={change}
          />
        )}
      />
      {(changed || (removed.size > 0 && edit)) && (
        <Group justify="space-between" className="save-bar" role="region" aria-label={t('Unsaved changes')}>
          <Text size="sm" fw={600} c={wrong > 0 ? 'var(--mantine-color-error)' : undefined}>
            {wrong > 0 ? plural(wrong, 'One stream has a problem.', '{count} streams have a problem.') : t('The streams have unsaved changes.')}
          </Text>
          <Group gap="xs">
            <Button variant="default" disabled={!changed} onClick={draft.reset}>
              {t('Discard')}
            </Button>
            <Button disabled={wrong > 0 || [...choice.keys()].every((key) => removed.has(key))} onClick={() => setSaving(true)}>
              {t('Save …')}
            </Button>
          </Group>
        </Group>
      )}
      <SaveStreams
        connection={connection}
        opened={saving}
        before={saved}
        after={new Map([...choice].filter(([key]) => !removed.has(key)))}
        busy={busy}
        onClose={() => setSaving(false)}
        onSaved={() => {
          setSaving(false);
          draft.reset();
          discovery.reset();
        }}
      />
      <LeaveGuard draft={draft} />
      <Confirm confirmation={confirmation} onClose={() => setConfirmation(null)} />
      <Backfill connection={connection} stream={backfillStream} onClose={() => setBackfillStream(null)} />
    </Stack>
  );
}
