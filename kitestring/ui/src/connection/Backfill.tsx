/** Read a range of an incremental stream again, from one cursor value to another. */
import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';

import { api, OWN } from '../api/client';
import type { ConnectionDetail } from '../api/schema.gen';
import { useActions } from '../connections/useActions';
import { RichText } from '../form/RichText';
import { ErrorNote } from '../shell/ErrorNote';
import { notifySuccess } from '../shell/notify';
import { t } from '../text';

/** Parse a cursor value: whole numbers become numbers, anything else (dates, ids) stays text. */
export function cursorValue(text: string): string | number {
  const trimmed = text.trim();
  return /^-?\d{1,15}$/.test(trimmed) ? Number(trimmed) : trimmed;
}

export function Backfill({ connection, stream, onClose }: { connection: ConnectionDetail; stream: string | null; onClose: () => void }) {
  const { invalidate } = useActions(connection);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const cursor = connection.streams.find((other) => other.key === stream)?.cursorField?.join('.');

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const to = String(form.get('to')).trim();
    setBusy(true);
    setError(null);
    try {
      await api.post(`${OWN}/connections/${connection.connectionId}/backfill`, {
        stream,
        from: cursorValue(String(form.get('from'))),
        to: to ? cursorValue(to) : null,
      });
      notifySuccess(t('Backfill started.'));
      onClose();
      await invalidate();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Modal opened={stream !== null} onClose={onClose} title={t('Backfill {stream}', { stream: stream ?? '' })} centered closeButtonProps={{ 'aria-label': t('Close') }}>
      <form onSubmit={(event) => void submit(event)}>
        <Stack>
          <Text size="sm">
            <RichText
              text={t(
                'Reads the records whose {cursor} is in this range again and writes them again. The state does not change and nothing is deleted. A stream written with *append* gets these records twice.',
                { cursor: cursor ? `**${cursor}**` : t('cursor') },
              )}
            />
          </Text>
          <TextInput label={t('From')} name="from" placeholder="2026-01-01T00:00:00Z" required data-autofocus />
          <TextInput label={t('To')} name="to" placeholder={t('until now')} description={t('Empty: until now.')} />
          {error !== null && <ErrorNote error={error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              {t('Cancel')}
            </Button>
            <Button type="submit" loading={busy}>
              {t('Start backfill')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
