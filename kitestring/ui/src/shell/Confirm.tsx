/** A confirmation dialog for an action that cannot be undone: its effects, and a button that names it. */
import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';

import { ErrorNote } from './ErrorNote';
import { isTypedName } from './typedName';
import { t } from '../text';

export interface Confirmation {
  title: string;
  body: ReactNode;
  action: string;
  danger?: boolean;
  /** The text that the user must type first. */
  type?: string;
  run: () => Promise<unknown>;
}

export function Confirm({ confirmation, onClose }: { confirmation: Confirmation | null; onClose: () => void }) {
  return (
    <Modal opened={confirmation !== null} onClose={onClose} title={confirmation?.title} centered closeButtonProps={{ 'aria-label': t('Close') }}>
      {confirmation && <Question key={confirmation.title} confirmation={confirmation} onClose={onClose} />}
    </Modal>
  );
}

function Question({ confirmation, onClose }: { confirmation: Confirmation; onClose: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [typed, setTyped] = useState('');

  async function run() {
    setBusy(true);
    setError(null);
    try {
      await confirmation.run();
      onClose();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Stack>
      <Text component="div" size="sm">
        {confirmation.body}
      </Text>
      {confirmation.type && (
        <TextInput
          label={t('Type “{name}” to continue', { name: confirmation.type })}
          description={confirmation.type.includes('→') ? t('You can type -> for the arrow.') : undefined}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          autoComplete="off"
        />
      )}
      {error !== null && <ErrorNote error={error} />}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>
          {t('Cancel')}
        </Button>
        <Button
          color={confirmation.danger ? 'red.8' : undefined}
          loading={busy}
          disabled={confirmation.type !== undefined && !isTypedName(typed, confirmation.type)}
          onClick={() => void run()}
        >
          {confirmation.action}
        </Button>
      </Group>
    </Stack>
  );
}
