/** Users and their roles; for server admins. */
import { Badge, Button, Card, Group, Menu, Modal, NativeSelect, PasswordInput, Skeleton, Stack, Table, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';

import { api, OWN, PUBLIC } from '../api/client';
import type { UserDetail, UserDetails, UserPermission, Workspace } from '../api/schema.gen';
import { sessionQuery, workspacesQuery } from '../session/session';
import { type Confirmation, Confirm } from '../shell/Confirm';
import { ErrorNote } from '../shell/ErrorNote';
import { notifySuccess, notifyError } from '../shell/notify';

const ROLES = [
  { value: 'workspace_reader', label: 'Reader: views' },
  { value: 'workspace_runner', label: 'Runner: starts and cancels jobs' },
  { value: 'workspace_editor', label: 'Editor: creates and changes connections' },
  { value: 'workspace_admin', label: 'Workspace admin' },
  { value: 'instance_admin', label: 'Server admin' },
];

export function roleWords(permission: UserPermission, workspaces: Workspace[]): string {
  const workspaceName = workspaces.find((other) => other.workspaceId === permission.workspaceId)?.name;
  const role = permission.permissionType.replace(/^(workspace|organization|instance)_/, '');
  if (permission.workspaceId) return `${role} of ${workspaceName ?? 'a workspace'}`;
  return permission.organizationId ? `${role} of the organization` : `${role} of the server`;
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
      title: `Remove ${user.email}?`,
      body: 'Their sessions end and their applications lose access at once. What they created stays. This cannot be undone.',
      action: 'Remove the user',
      danger: true,
      run: async () => {
        await api.delete(`${OWN}/users/${user.userId}`);
        notifySuccess(`${user.email} was removed.`);
        await invalidate();
      },
    });

  if (users.error) return <ErrorNote error={users.error} retry={() => void users.refetch()} />;
  if (!users.data) return <Skeleton h={160} />;
  return (
    <Stack>
      <Group justify="space-between">
        <Text size="sm" c="dimmed" maw={620}>
          {users.data.length === 0
            ? 'No users yet. The first user is a server admin; after that, everybody must sign in.'
            : 'Users and their roles.'}
        </Text>
        <Button onClick={() => setAdding(true)}>Add a user</Button>
      </Group>
      {users.data.length > 0 && (
        <Card withBorder padding={0}>
          <Table.ScrollContainer minWidth={520} scrollAreaProps={{ viewportProps: { tabIndex: 0, role: 'group', 'aria-label': 'Users' } }}>
            <Table horizontalSpacing="md" verticalSpacing="sm">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>User</Table.Th>
                  <Table.Th>Roles</Table.Th>
                  <Table.Th>
                    <span className="unseen">Actions</span>
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {users.data.map((user) => (
                  <Table.Tr key={user.userId}>
                    <Table.Td>
                      <Text size="sm" fw={600} style={{ overflowWrap: 'anywhere' }}>
                        {user.email}
                      </Text>
                      <Text size="xs" c="dimmed">
                        {[user.name !== user.email && user.name, user.userId === me && 'you', user.disabled && 'disabled', !user.hasPassword && 'no password']
                          .filter(Boolean)
                          .join(' · ')}
                      </Text>
                    </Table.Td>
                    <Table.Td>
                      <Group gap={6}>
                        {user.permissions.map((permission) => (
                          <Badge
                            key={permission.permissionId}
                            variant="default"
                            tt="none"
                            radius="sm"
                            rightSection={
                              user.userId !== me && (
                                <Button
                                  size="compact-xs"
                                  variant="transparent"
                                  c="var(--mantine-color-text)"
                                  p={0}
                                  aria-label={`× Remove role from ${user.email}: ${roleWords(permission, workspaces)}`}
                                  onClick={() => revoke.mutate(permission)}
                                >
                                  ×
                                </Button>
                              )
                            }
                          >
                            {roleWords(permission, workspaces)}
                          </Badge>
                        ))}
                        {user.permissions.length === 0 && (
                          <Text size="sm" c="dimmed">
                            no role
                          </Text>
                        )}
                      </Group>
                    </Table.Td>
                    <Table.Td ta="right">
                      <Menu position="bottom-end">
                        <Menu.Target>
                          <Button size="xs" variant="default" aria-label={`Actions for ${user.email}`}>
                            Actions
                          </Button>
                        </Menu.Target>
                        <Menu.Dropdown>
                          <Menu.Item onClick={() => setGranting(user)}>Add a role …</Menu.Item>
                          {user.userId !== me && (
                            <Menu.Item onClick={() => change.mutate(user)}>{user.disabled ? 'Enable' : 'Disable'}</Menu.Item>
                          )}
                          {user.userId !== me && (
                            <Menu.Item color="red" onClick={() => remove(user)}>
                              Remove …
                            </Menu.Item>
                          )}
                        </Menu.Dropdown>
                      </Menu>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </Card>
      )}
      <Modal opened={adding} onClose={() => setAdding(false)} title="Add a user" centered closeButtonProps={{ 'aria-label': 'Close' }}>
        <Form
          first={users.data.length === 0}
          workspaces={workspaces}
          action="Add the user"
          onClose={() => setAdding(false)}
          send={async ({ email, password, permissions }) => {
            await api.post(`${OWN}/users`, { email, password: password || null, permissions });
            notifySuccess(`${email} can sign in now.`);
            await invalidate();
          }}
        />
      </Modal>
      <Modal opened={granting !== null} onClose={() => setGranting(null)} title={`A role for ${granting?.email ?? ''}`} centered closeButtonProps={{ 'aria-label': 'Close' }}>
        {granting && (
          <Form
            user={granting}
            workspaces={workspaces}
            action="Add the role"
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

interface UserValues {
  email: string;
  password: string;
  permissions: { permissionType: string; workspaceId?: string }[];
}

/** A new user or, with `user`, a new role for an existing user. */
function Form({
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
  const [role, setRole] = useState(first ? 'instance_admin' : 'workspace_reader');
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
        permissions: [role === 'instance_admin' ? { permissionType: role } : { permissionType: role, workspaceId: text('workspace') }],
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
            <TextInput name="email" label="E-mail address" type="email" required data-autofocus autoComplete="off" />
            <PasswordInput
              name="password"
              label="Password"
              description="Empty: sign in with the identity provider only."
              autoComplete="new-password"
              visibilityToggleButtonProps={{ 'aria-label': 'Show the password' }}
            />
          </>
        )}
        {first ? (
          <Text size="sm">The first user is a server admin. Sign in as this user next.</Text>
        ) : (
          <>
            <NativeSelect label="Role" value={role} data={ROLES} onChange={(event) => setRole(event.currentTarget.value)} />
            {role !== 'instance_admin' && (
              <NativeSelect name="workspace" label="In the workspace" data={workspaces.map((workspace) => ({ value: workspace.workspaceId, label: workspace.name }))} />
            )}
          </>
        )}
        {error !== null && <ErrorNote error={error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={busy}>
            {action}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
