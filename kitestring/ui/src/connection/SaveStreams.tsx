/** Saves changed streams, after a summary of what that causes. */
import { Button, Checkbox, Group, List, Modal, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';

import { api, ApiError, isOvertaken, OWN } from '../api/client';
import type { ConnectionDetail } from '../api/schema.gen';
import { useActions } from '../connections/useActions';
import { ErrorNote } from '../shell/ErrorNote';
import { notifyError, notifySuccess } from '../shell/notify';
import { same } from '../shell/rebase';
import { consequences } from '../streams/consequences';
import type { Choice } from '../streams/streams';
import { plural, t } from '../text';
import { patchAsSeen } from './patchAsSeen';
import { savedChoice } from './savedChoice';

const MAX_SHOWN = 40;

export function SaveStreams({
  connection,
  opened,
  before,
  after,
  busy,
  onClose,
  onSaved,
}: {
  connection: ConnectionDetail;
  opened: boolean;
  before: Choice;
  after: Choice;
  /** A job runs: a refresh cannot start. */
  busy: boolean;
  onClose: () => void;
  onSaved: () => void;
}) {
  const { invalidate } = useActions(connection);
  const [refresh, setRefresh] = useState(false);
  const entries = opened ? consequences(before, after, connection.destination.name) : [];
  const stale = [...new Set(entries.filter((entry) => entry.refresh).map((entry) => entry.stream))];
  const saving = useMutation({
    mutationFn: async () => {
      const body = {
        configurations: { streams: [...after.values()] },
        // To choose the streams is to decide on a change of the schema.
        ...(connection.changes && { status: 'active' }),
      };
      await patchAsSeen(connection, body, (present) => same(savedChoice(present), savedChoice(connection)) && same(present.changes, connection.changes));
      if (!refresh || stale.length === 0) return undefined;
      return api
        .post(`${OWN}/connections/${connection.connectionId}/refresh`, { streams: stale, mode: 'truncate' })
        .then(() => undefined, (error: unknown) => error);
    },
    // The dialog then says what saving would change of the present state.
    onError: (error) => (isOvertaken(error) ? invalidate() : undefined),
    onSuccess: async (failure) => {
      if (failure) notifyError(new ApiError(0, t('The streams were saved, but the refresh did not start'), failure instanceof Error ? failure.message : ''));
      else notifySuccess(t('The streams were saved'));
      await invalidate();
      onSaved();
    },
  });
  return (
    <Modal opened={opened} onClose={onClose} title={t('Save the streams of {connection}?', { connection: connection.name })} size="lg" centered closeButtonProps={{ 'aria-label': t('Close') }}>
      <Stack>
        {entries.length === 0 && <Text size="sm">{t('The streams use the new schema of the source.')}</Text>}
        <List size="sm" spacing={6}>
          {entries.slice(0, MAX_SHOWN).map(({ stream, sentence }, n) => (
            <List.Item key={n} style={{ overflowWrap: 'anywhere' }}>
              <b>{stream}</b>: {sentence}
            </List.Item>
          ))}
        </List>
        {entries.length > MAX_SHOWN && <Text size="sm">{t('and {count} more', { count: entries.length - MAX_SHOWN })}</Text>}
        {connection.changes && <Text size="sm">{t('The connection resumes: no schema change is pending.')}</Text>}
        {stale.length > 0 && (
          <Checkbox
            checked={refresh && !busy}
            disabled={busy}
            onChange={(event) => setRefresh(event.currentTarget.checked)}
            label={plural(stale.length, 'Refresh {streams} now', 'Refresh {count} streams now', { streams: stale[0]! })}
            description={
              busy
                ? t('A job is running: refresh them when it has ended.')
                : t('Reads everything again. The stored data is replaced once the new data is complete.')
            }
          />
        )}
        {saving.error && <ErrorNote error={saving.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {t('Cancel')}
          </Button>
          <Button loading={saving.isPending} onClick={() => saving.mutate()}>
            {refresh && !busy && stale.length > 0 ? t('Save and refresh') : t('Save')}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
