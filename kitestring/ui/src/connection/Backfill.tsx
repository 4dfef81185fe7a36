/** Reading a window of an incremental stream once more, from one cursor value to another. */
import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';

import { api, OWN } from '../api/client';
import type { ConnectionDetail } from '../api/schema.gen';
import { useActions } from '../connections/useActions';
import { ErrorNote } from '../shell/ErrorNote';
import { notifySuccess } from '../shell/notify';

/** A cursor value as it is written: whole numbers are numbers, anything else (dates, ids) is text. */
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
      notifySuccess('The backfill has begun.');
      onClose();
      await invalidate();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Modal opened={stream !== null} onClose={onClose} title={`Backfill ${stream ?? ''}`} centered closeButtonProps={{ 'aria-label': 'Close' }}>
      <form onSubmit={(event) => void submit(event)}>
        <Stack>
          <Text size="sm">
            Reads the records whose {cursor ? <b>{cursor}</b> : 'cursor'} lies in a window once more and writes them again.
            The state stays as it is, and nothing is deleted; a stream written by <i>append</i> gets these records twice.
          </Text>
          <TextInput label="From" name="from" placeholder="2026-01-01T00:00:00Z" required data-autofocus />
          <TextInput label="To" name="to" placeholder="until now" description="Left empty: until now." />
          {error !== null && <ErrorNote error={error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Keep as it is
            </Button>
            <Button type="submit" loading={busy}>
              Read again
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
