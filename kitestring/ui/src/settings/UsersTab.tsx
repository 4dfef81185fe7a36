/** Users and their roles; for server admins. */
import { Button, Card, Group, Menu, Modal, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, OWN, PUBLIC } from '../api/client';
import type { UserDetail, UserDetails, UserPermission, Workspace } from '../api/schema.gen';
import { sessionQuery, workspacesQuery } from '../session/session';
import { type Confirmation, Confirm } from '../shell/Confirm';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { notifySuccess, notifyError } from '../shell/notify';
import { t } from '../text';
import { UserForm } from './UserForm';
import styles from './users.module.css';

const ROLES: Record<string, () => string> = {
  reader: () => t('Reader'),
  runner: () => t('Runner'),
  editor: () => t('Editor'),
  admin: () => t('Admin'),
};

/** “Editor of Support”, “Admin of the server”. */
export function roleWords(permission: UserPermission, workspaces: Workspace[]): string {
  const word = permission.permissionType.replace(/^(workspace|organization|instance)_/, '');
  const role = ROLES[word]?.() ?? word;
  if (permission.workspaceId) {
    const workspace = workspaces.find((other) => other.workspaceId === permission.workspaceId)?.name;
    return workspace === undefined ? t('{role} of a workspace', { role }) : t('{role} of {workspace}', { role, workspace });
  }
  return permission.organizationId ? t('{role} of the organization', { role }) : t('{role} of the server', { role });
}

export function UsersTab() {
  const client = useQueryClient();
  const users = useQuery({ queryKey: ['users'], queryFn: async () => (await api.get<UserDetails>(`${OWN}/users`)).data });
  const workspaces = useQuery(workspacesQuery).data ?? [];
  const me = useQuery(sessionQuery).data?.userId;
  const [adding, setAdding] = useState(false);
  const [granting, setGranting] = useState<UserDetail | null>(null);
  const [confirmation, setConfirmation] = useState<Confirmation | null>(null);
  const invalidate = async () => {
    await client.invalidateQueries({ queryKey: ['users'] });
    await client.invalidateQueries({ queryKey: ['session'] });
    await client.invalidateQueries({ queryKey: ['ways'] });
  };
  const change = useMutation({
    mutationFn: (user: UserDetail) => api.patch(`${OWN}/users/${user.userId}`, { disabled: !user.disabled }),
    onSuccess: invalidate,
    onError: notifyError,
  });
  const revoke = useMutation({
    mutationFn: (permission: UserPermission) => api.delete(`${PUBLIC}/permissions/${permission.permissionId}`),
    onSuccess: invalidate,
    onError: notifyError,
  });

  const remove = (user: UserDetail) =>
    setConfirmation({
      title: t('Remove {email}?', { email: user.email }),
      body: t('Their sessions end and their applications lose access at once. What they created stays. This cannot be undone.'),
      action: t('Remove the user'),
      danger: true,
      run: async () => {
        await api.delete(`${OWN}/users/${user.userId}`);
        notifySuccess(t('{email} was removed.', { email: user.email }));
        await invalidate();
      },
    });

  if (users.error) return <ErrorNote error={users.error} retry={() => void users.refetch()} />;
  if (!users.data) return <RowsSkeleton />;
  return (
    <Stack>
      <Group justify="space-between">
        <Text size="sm" c="dimmed" maw={620}>
          {users.data.length === 0
            ? t('No users yet. The first user is a server admin; after that, everybody must sign in.')
            : t('Users and their roles.')}
        </Text>
        <Button onClick={() => setAdding(true)}>{t('Add a user')}</Button>
      </Group>
      {users.data.length > 0 && (
        <Card withBorder padding={0}>
          <ul className={styles.users} aria-label={t('Users')}>
            {users.data.map((user) => (
              <li key={user.userId} className={styles.user}>
                <div className={styles.name}>
                  <Text size="sm" fw={600} style={{ overflowWrap: 'anywhere' }}>
                    {user.email}
                  </Text>
                  <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
                    {[
                      user.name !== user.email && user.name,
                      user.userId === me && t('you'),
                      user.disabled && t('disabled'),
                      !user.hasPassword && t('no password'),
                    ]
                      .filter(Boolean)
                      .join(' · ')}
                  </Text>
                </div>
                <Group gap={6} className={styles.roles}>
                  {user.permissions.map((permission) => (
                    <span key={permission.permissionId} className={styles.role}>
                      {roleWords(permission, workspaces)}
                      {user.userId !== me && (
                        <button
                          type="button"
                          aria-label={t('× Remove the role of {email}: {role}', { email: user.email, role: roleWords(permission, workspaces) })}
                          onClick={() => revoke.mutate(permission)}
                        >
                          ×
                        </button>
                      )}
                    </span>
                  ))}
                  {user.permissions.length === 0 && (
                    <Text size="sm" c="dimmed">
                      {t('no role')}
                    </Text>
                  )}
                </Group>
                <Menu position="bottom-end">
                  <Menu.Target>
                    <Button size="xs" variant="default" aria-label={t('Actions for {name}', { name: user.email })}>
                      {t('Actions')}
                    </Button>
                  </Menu.Target>
                  <Menu.Dropdown>
                    <Menu.Item onClick={() => setGranting(user)}>{t('Add a role …')}</Menu.Item>
                    {user.userId !== me && <Menu.Item onClick={() => change.mutate(user)}>{user.disabled ? t('Enable') : t('Disable')}</Menu.Item>}
                    {user.userId !== me && (
                      <Menu.Item color="red" onClick={() => remove(user)}>
                        {t('Remove …')}
                      </Menu.Item>
                    )}
                  </Menu.Dropdown>
                </Menu>
              </li>
            ))}
          </ul>
        </Card>
      )}
      <Modal opened={adding} onClose={() => setAdding(false)} title={t('Add a user')} centered closeButtonProps={{ 'aria-label': t('Close') }}>
        <UserForm
          first={users.data.length === 0}
          workspaces={workspaces}
          action={t('Add the user')}
          onClose={() => setAdding(false)}
          send={async ({ email, password, permissions }) => {
            await api.post(`${OWN}/users`, { email, password: password || null, permissions });
            notifySuccess(t('{email} can sign in now.', { email }));
            await invalidate();
          }}
        />
      </Modal>
      <Modal opened={granting !== null} onClose={() => setGranting(null)} title={t('A role for {email}', { email: granting?.email ?? '' })} centered closeButtonProps={{ 'aria-label': t('Close') }}>
        {granting && (
          <UserForm
            user={granting}
            workspaces={workspaces}
            action={t('Add the role')}
            onClose={() => setGranting(null)}
            send={async ({ permissions }) => {
              await api.post(`${PUBLIC}/permissions`, { userId: granting.userId, ...permissions[0] });
              await invalidate();
            }}
          />
        )}
      </Modal>
      <Confirm confirmation={confirmation} onClose={() => setConfirmation(null)} />
    </Stack>
  );
}
