/** The state of each stream, from which the next sync continues: view, edit or reset. */
import { Button, Code, Group, JsonInput, Modal, Paper, Skeleton, Stack, Text } from '@mantine/core';
import { IconBookmark } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, OWN } from '../api/client';
import type { ConnectionDetail, StreamStates } from '../api/schema.gen';
import { ACTIVE } from '../connections/overviews';
import { type Confirmation, Confirm } from '../shell/Confirm';
import { EmptyState } from '../shell/EmptyState';
import { ErrorNote } from '../shell/ErrorNote';
import { notifySuccess } from '../shell/notify';

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
  if (!states.data) return <Skeleton h={200} />;
  const streams = Object.keys(states.data);
  if (streams.length === 0)
    return (
      <Paper withBorder>
        <EmptyState icon={<IconBookmark size={28} aria-hidden />} title="No state yet">
          After the first checkpoint of a sync, the state of each stream is shown here.
        </EmptyState>
      </Paper>
    );

  const reset = (stream: string) =>
    setConfirmation({
      title: `Reset the state of ${stream}?`,
      body: 'The next sync reads this stream from the beginning. The data in the destination stays.',
      action: 'Reset the state',
      danger: true,
      run: async () => {
        await api.delete(path, { stream });
        notifySuccess('The state was reset.');
        await invalidate();
      },
    });

  return (
    <Stack>
      <Text size="sm" c="dimmed">
        The next sync continues from this state. {busy && 'It cannot be changed while a job runs.'}
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
                aria-label={`State of ${stream}`}
                style={{ maxHeight: 240, overflow: 'auto', whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}
              >
                {JSON.stringify(states.data[stream], null, 2)}
              </Code>
            </Stack>
            {edit && (
              <Group gap="xs">
                <Button size="xs" variant="default" disabled={busy} aria-label={`Change the state of ${stream}`} onClick={() => setEdited(stream)}>
                  Change …
                </Button>
                <Button size="xs" variant="default" c="var(--mantine-color-error)" disabled={busy} aria-label={`Reset the state of ${stream}`} onClick={() => reset(stream)}>
                  Reset …
                </Button>
              </Group>
            )}
          </Group>
        ))}
      </Paper>
      {streams.length > MAX_STREAMS && (
        <Text size="sm" c="dimmed">
          Showing {MAX_STREAMS} of {streams.length} streams. <Code>kitestring state export</Code> writes all.
        </Text>
      )}
      <Confirm confirmation={confirmation} onClose={() => setConfirmation(null)} />
      <Modal
        opened={edited !== null}
        onClose={() => setEdited(null)}
        title={`The state of ${edited ?? ''}`}
        centered
        size="lg"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        {edited !== null && (
          <Edit
            stream={edited}
            state={states.data[edited] ?? {}}
            onClose={() => setEdited(null)}
            save={async (state) => {
              await api.put(path, { states: { [edited]: state } });
              notifySuccess('The state was saved.');
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
  save: (state: unknown) => Promise<void>;
  onClose: () => void;
}) {
  const [text, setText] = useState(JSON.stringify(state, null, 2));
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);

  async function submit() {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      setError(new Error('This is not valid JSON. Check quotes, commas and braces.'));
      return;
    }
    setBusy(true);
    setError(null);
    try {
      await save(value);
      onClose();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Stack>
      <JsonInput label={`State of ${stream}, as JSON`} value={text} onChange={setText} autosize minRows={6} maxRows={24} data-autofocus />
      <Text size="sm" c="dimmed">
        A later cursor skips records; an earlier cursor reads records again.
      </Text>
      {error !== null && <ErrorNote error={error} />}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button loading={busy} onClick={() => void submit()}>
          Save
        </Button>
      </Group>
    </Stack>
  );
}
