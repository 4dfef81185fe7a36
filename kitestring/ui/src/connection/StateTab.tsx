/** The state of each stream, from which the next sync continues: view, edit or reset. */
import { Button, Code, Group, JsonInput, Modal, Paper, Stack, Text } from '@mantine/core';
import { IconBookmark } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, OWN } from '../api/client';
import type { ConnectionDetail, StreamStates } from '../api/schema.gen';
import { ACTIVE } from '../connections/overviews';
import { RichText } from '../form/RichText';
import { type Confirmation, Confirm } from '../shell/Confirm';
import { EmptyState } from '../shell/EmptyState';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { notifySuccess } from '../shell/notify';
import { t } from '../text';

const MAX_STREAMS = 200;

export function StateTab({ connection, edit }: { connection: ConnectionDetail; edit: boolean }) {
  const client = useQueryClient();
  const path = `${OWN}/connections/${connection.connectionId}/state`;
  const key = ['connection', connection.connectionId, 'state', connection.job?.jobId, connection.job?.status];
  const states = useQuery({
    queryKey: key,
    queryFn: async ({ signal }) => (await api.get<StreamStates>(path, undefined, signal)).states,
  });
  const [confirmation, setConfirmation] = useState<Confirmation | null>(null);
  const [edited, setEdited] = useState<string | null>(null);
  const busy = connection.job !== null && ACTIVE.includes(connection.job.status);
  const invalidate = () => client.invalidateQueries({ queryKey: ['connection', connection.connectionId] });

  if (states.error) return <ErrorNote error={states.error} retry={() => void states.refetch()} />;
  if (!states.data) return <RowsSkeleton />;
  const streams = Object.keys(states.data);
  if (streams.length === 0)
    return (
      <Paper withBorder>
        <EmptyState icon={<IconBookmark size={28} aria-hidden />} title={t('No state yet')}>
          {t('After the first checkpoint of a sync, the state of each stream is shown here.')}
        </EmptyState>
      </Paper>
    );

  const reset = (stream: string) =>
    setConfirmation({
      title: t('Reset the state of {stream}?', { stream }),
      body: t('The next sync reads this stream from the beginning. The data in the destination stays.'),
      action: t('Reset the state'),
      danger: true,
      run: async () => {
        await api.delete(path, { stream });
        notifySuccess(t('The state was reset.'));
        await invalidate();
      },
    });

  return (
    <Stack>
      <Text size="sm" c="dimmed">
        {t('The next sync continues from this state.')} {busy && t('It cannot be changed while a job runs.')}
      </Text>
      <Paper withBorder>
        {streams.slice(0, MAX_STREAMS).map((stream) => (
          <Group key={stream} px="md" py="sm" className="panel-row" align="flex-start" justify="space-between" gap="sm">
            <Stack gap={4} miw={0} style={{ flex: '1 1 320px' }}>
              <Text size="sm" fw={600} style={{ overflowWrap: 'anywhere' }}>
                {stream}
              </Text>
              <Code
                block
                tabIndex={0}
                role="group"
                aria-label={t('State of {stream}', { stream })}
                style={{ maxHeight: 240, overflow: 'auto', whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}
              >
                {JSON.stringify(states.data[stream], null, 2)}
              </Code>
            </Stack>
            {edit && (
              <Group gap="xs">
                <Button size="xs" variant="default" disabled={busy} aria-label={t('Change the state of {stream}', { stream })} onClick={() => setEdited(stream)}>
                  {t('Change …')}
                </Button>
                <Button size="xs" variant="default" c="var(--mantine-color-error)" disabled={busy} aria-label={t('Reset the state of {stream}', { stream })} onClick={() => reset(stream)}>
                  {t('Reset …')}
                </Button>
              </Group>
            )}
          </Group>
        ))}
      </Paper>
      {streams.length > MAX_STREAMS && (
        <Text size="sm" c="dimmed">
          <RichText text={t('Showing {count} of {all} streams. `kitestring state export` writes all.', { count: MAX_STREAMS, all: streams.length })} />
        </Text>
      )}
      <Confirm confirmation={confirmation} onClose={() => setConfirmation(null)} />
      <Modal
        opened={edited !== null}
        onClose={() => setEdited(null)}
        title={t('The state of {stream}', { stream: edited ?? '' })}
        centered
        size="lg"
        closeButtonProps={{ 'aria-label': t('Close') }}
      >
        {edited !== null && (
          <Edit
            stream={edited}
            state={states.data[edited] ?? {}}
            onClose={() => setEdited(null)}
            save={async (state, before) => {
              const { states: current } = await api.get<StreamStates>(path);
              if (JSON.stringify(current[edited] ?? {}) !== before)
                throw new Error(t('The state of {stream} has changed since it was opened here. Close this dialog and change the new state.', { stream: edited }));
              await api.put(path, { states: { [edited]: state } });
              notifySuccess(t('The state was saved.'));
              await invalidate();
            }}
          />
        )}
      </Modal>
    </Stack>
  );
}

function Edit({
  stream,
  state,
  save,
  onClose,
}: {
  stream: string;
  state: Record<string, unknown>;
  /** `before`: the state that was opened, as JSON. */
  save: (state: unknown, before: string) => Promise<void>;
  onClose: () => void;
}) {
  // What was opened; the page goes on to load the state meanwhile.
  const [before] = useState(() => JSON.stringify(state));
  const [text, setText] = useState(() => JSON.stringify(state, null, 2));
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);

  async function submit() {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      setError(new Error(t('This is not valid JSON. Check quotes, commas and braces.')));
      return;
    }
    setBusy(true);
    setError(null);
    try {
      await save(value, before);
      onClose();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Stack>
      <JsonInput label={t('State of {stream}, as JSON', { stream })} value={text} onChange={setText} autosize minRows={6} maxRows={24} data-autofocus />
      <Text size="sm" c="dimmed">
        {t('A later cursor skips records; an earlier cursor reads records again.')}
      </Text>
      {error !== null && <ErrorNote error={error} />}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>
          {t('Cancel')}
        </Button>
        <Button loading={busy} onClick={() => void submit()}>
          {t('Save')}
        </Button>
      </Group>
    </Stack>
  );
}
