/** The form of a new user, or of another role for a user. */
import { Button, Group, NativeSelect, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';

import type { UserDetail, Workspace } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { t } from '../text';

const roles = () => [
  { value: 'workspace_reader', label: t('Reader: views') },
  { value: 'workspace_runner', label: t('Runner: starts and cancels jobs') },
  { value: 'workspace_editor', label: t('Editor: creates and changes connections') },
  { value: 'workspace_admin', label: t('Workspace admin') },
  { value: 'instance_admin', label: t('Server admin') },
];

interface UserValues {
  email: string;
  password: string;
  permissions: { permissionType: string; workspaceId?: string }[];
}

/**
 * A new user or, with `user`, a new role for an existing user.
 *
 * `first`: there are no users yet, as far as this page knows. The server decides who is the first and makes only them
 * an admin, so that a list that is out of date here gives nobody more than they should have.
 */
export function UserForm({
  user,
  first = false,
  workspaces,
  action,
  send,
  onClose,
}: {
  user?: UserDetail;
  first?: boolean;
  workspaces: Workspace[];
  action: string;
  send: (values: UserValues) => Promise<void>;
  onClose: () => void;
}) {
  const [role, setRole] = useState('workspace_reader');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => {
      const value = form.get(name);
      return typeof value === 'string' ? value : '';
    };
    setBusy(true);
    setError(null);
    try {
      await send({
        email: text('email').trim(),
        password: text('password'),
        permissions: first ? [] : [role === 'instance_admin' ? { permissionType: role } : { permissionType: role, workspaceId: text('workspace') }],
      });
      onClose();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }

  return (
    <form onSubmit={(event) => void submit(event)}>
      <Stack>
        {!user && (
          <>
            <TextInput name="email" label={t('E-mail address')} type="email" required data-autofocus autoComplete="off" />
            <PasswordInput
              name="password"
              label={t('Password')}
              description={t('Empty: sign in with the identity provider only.')}
              autoComplete="new-password"
              visibilityToggleButtonProps={{ 'aria-label': t('Show the password') }}
            />
          </>
        )}
        {first ? (
          <Text size="sm">{t('The first user is a server admin. Sign in as this user next.')}</Text>
        ) : (
          <>
            <NativeSelect label={t('Role')} value={role} data={roles()} onChange={(event) => setRole(event.currentTarget.value)} />
            {role !== 'instance_admin' && (
              <NativeSelect name="workspace" label={t('In the workspace')} data={workspaces.map((workspace) => ({ value: workspace.workspaceId, label: workspace.name }))} />
            )}
          </>
        )}
        {error !== null && <ErrorNote error={error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {t('Cancel')}
          </Button>
          <Button type="submit" loading={busy}>
            {action}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
