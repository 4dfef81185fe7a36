/** The name of the workspace. */
import { Button, Group, Stack, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { FormEvent } from 'react';

import { api, PUBLIC } from '../api/client';
import type { Workspace } from '../api/schema.gen';
import { workspacesQuery } from '../session/session';
import { ErrorNote } from '../shell/ErrorNote';
import { LeaveGuard } from '../shell/LeaveGuard';
import { notifySuccess } from '../shell/notify';
import { keepAll, useDraft } from '../shell/useDraft';
import { t } from '../text';

export function WorkspaceTab({ workspace }: { workspace: Workspace }) {
  const client = useQueryClient();
  const draft = useDraft(`workspace.${workspace.workspaceId}`, workspace.name, keepAll);
  const renaming = useMutation({
    mutationFn: (name: string) => api.patch<Workspace>(`${PUBLIC}/workspaces/${workspace.workspaceId}`, { name }),
    onSuccess: async (_, name) => {
      draft.clear();
      notifySuccess(t('The workspace was renamed to {name}.', { name }));
      await client.invalidateQueries({ queryKey: workspacesQuery.queryKey });
    },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    renaming.mutate(draft.value.trim());
  }

  return (
    <Stack maw={560}>
      <LeaveGuard draft={draft} />
      <form onSubmit={submit}>
        <Group align="flex-end" gap="xs">
          <TextInput
            label={t('Name of the workspace')}
            description={t('The ids in addresses and in the API stay the same.')}
            value={draft.value}
            onChange={(event) => draft.set(event.currentTarget.value)}
            required
            style={{ flex: '1 1 240px' }}
          />
          <Button type="submit" loading={renaming.isPending} disabled={!draft.isChanged || draft.value.trim() === ''}>
            {t('Rename')}
          </Button>
        </Group>
      </form>
      {renaming.error && <ErrorNote error={renaming.error} />}
    </Stack>
  );
}
