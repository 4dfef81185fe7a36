/** The dialog that creates a workspace and goes to it. */
import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';

import { api, PUBLIC } from '../api/client';
import type { Workspace } from '../api/schema.gen';
import { chooseWorkspace, sessionQuery, workspacesQuery } from '../session/session';
import { useFocusBack } from './useFocusBack';
import { t } from '../text';
import { ErrorNote } from './ErrorNote';
import { notifySuccess } from './notify';

export function NewWorkspace({ onClose }: { onClose: () => void }) {
  useFocusBack();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState('');
  const creating = useMutation({
    mutationFn: () => api.post<Workspace>(`${PUBLIC}/workspaces`, { name: name.trim() }),
    onSuccess: async (workspace) => {
      await Promise.all([
        client.invalidateQueries({ queryKey: workspacesQuery.queryKey }),
        client.invalidateQueries({ queryKey: sessionQuery.queryKey }),
      ]);
      chooseWorkspace(workspace.workspaceId);
      notifySuccess(t('The workspace {name} was created.', { name: workspace.name }));
      onClose();
      await navigate({ to: '/connections' });
    },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    creating.mutate();
  }

  return (
    <Modal opened onClose={onClose} title={t('New workspace')} centered closeButtonProps={{ 'aria-label': t('Close') }}>
      <form onSubmit={submit}>
        <Stack>
          <Text size="sm" c="dimmed">
            {t('A workspace has its own sources, destinations and connections, and its own users and notifications.')}
          </Text>
          <TextInput label={t('Name')} value={name} onChange={(event) => setName(event.currentTarget.value)} required data-autofocus />
          {creating.error && <ErrorNote error={creating.error} />}
          <Group justify="flex-end">
            <Button type="submit" loading={creating.isPending} disabled={name.trim() === ''}>
              {t('Create the workspace')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
