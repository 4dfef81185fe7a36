/** A question before something that cannot be taken back: what will happen, and a button that names it. */
import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';

import { ErrorNote } from './ErrorNote';

export interface Asked {
  title: string;
  what: ReactNode;
  action: string;
  danger?: boolean;
  /** What has to be typed first. */
  type?: string;
  run: () => Promise<unknown>;
}

export function Confirm({ asked, onClose }: { asked: Asked | null; onClose: () => void }) {
  return (
    <Modal opened={asked !== null} onClose={onClose} title={asked?.title} centered closeButtonProps={{ 'aria-label': 'Close' }}>
      {asked && <Question key={asked.title} asked={asked} onClose={onClose} />}
    </Modal>
  );
}

function Question({ asked, onClose }: { asked: Asked; onClose: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [typed, setTyped] = useState('');

  async function run() {
    setBusy(true);
    setError(null);
    try {
      await asked.run();
      onClose();
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Stack>
      <Text component="div" size="sm">
        {asked.what}
      </Text>
      {asked.type && (
        <TextInput
          label={`Type “${asked.type}” to go on`}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          autoComplete="off"
        />
      )}
      {error !== null && <ErrorNote error={error} />}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>
          Keep as it is
        </Button>
        <Button
          color={asked.danger ? 'red.8' : undefined}
          loading={busy}
          disabled={asked.type !== undefined && typed.trim() !== asked.type}
          onClick={() => void run()}
        >
          {asked.action}
        </Button>
      </Group>
    </Stack>
  );
}
