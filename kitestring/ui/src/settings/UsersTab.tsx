/** Who may sign in, and what they may do: for admins of the server. */
import { Badge, Button, Card, Group, Menu, Modal, NativeSelect, PasswordInput, Skeleton, Stack, Table, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';

import { api, OWN, PUBLIC } from '../api/client';
import type { UserDetail, UserDetails, UserPermission, Workspace } from '../api/schema.gen';
import { sessionQuery, workspacesQuery } from '../session/session';
import { type Asked, Confirm } from '../shell/Confirm';
import { ErrorNote } from '../shell/ErrorNote';
import { notifySuccess, notifyError } from '../shell/notify';

const ROLES = [
  { value: 'workspace_reader', label: 'Reader: looks' },
  { value: 'workspace_runner', label: 'Runner: starts and cancels jobs' },
  { value: 'workspace_editor', label: 'Editor: makes and changes connections' },
  { value: 'workspace_admin', label: 'Admin of the workspace' },
  { value: 'instance_admin', label: 'Admin of the server' },
];

export function roleWords(one: UserPermission, workspaces: Workspace[]): string {
  const place = workspaces.find((other) => other.workspaceId === one.workspaceId)?.name;
  const role = one.permissionType.replace(/^(workspace|organization|instance)_/, '');
  if (one.workspaceId) return `${role} of ${place ?? 'a workspace'}`;
  return one.organizationId ? `${role} of the organization` : `${role} of the server`;
}

export function UsersTab() {
  const client = useQueryClient();
  const found = useQuery({ queryKey: ['users'], queryFn: async () => (await api.get<UserDetails>(`${OWN}/users`)).data });
  const workspaces = useQuery(workspacesQuery).data ?? [];
  const me = useQuery(sessionQuery).data?.userId;
  const [adding, setAdding] = useState(false);
  const [granting, setGranting] = useState<UserDetail | null>(null);
  const [asked, setAsked] = useState<Asked | null>(null);
  const done = async () => {
    await client.invalidateQueries({ queryKey: ['users'] });
    await client.invalidateQueries({ queryKey: ['session'] });
    await client.invalidateQueries({ queryKey: ['ways'] });
  };
  const change = useMutation({
    mutationFn: (one: UserDetail) => api.patch(`${OWN}/users/${one.userId}`, { disabled: !one.disabled }),
    onSuccess: done,
    onError: notifyError,
  });
  const revoke = useMutation({
    mutationFn: (one: UserPermission) => api.delete(`${PUBLIC}/permissions/${one.permissionId}`),
    onSuccess: done,
    onError: notifyError,
  });

  const remove = (one: UserDetail) =>
    setAsked({
      title: `Remove ${one.email}?`,
      what: 'Their sessions end and their applications are refused at once. What they made stays. This cannot be undone.',
      action: 'Remove the user',
      danger: true,
      run: async () => {
        await api.delete(`${OWN}/users/${one.userId}`);
        notifySuccess(`${one.email} was removed.`);
        await done();
      },
    });

  if (found.error) return <ErrorNote error={found.error} retry={() => void found.refetch()} />;
  if (!found.data) return <Skeleton h={160} />;
  return (
    <Stack>
      <Group justify="space-between">
        <Text size="sm" c="dimmed" maw={620}>
          {found.data.length === 0
            ? 'Nobody signs in yet. The first user is an admin of the server, and from then on the server asks everybody who they are.'
            : 'Who may sign in, and what they may do.'}
        </Text>
        <Button onClick={() => setAdding(true)}>Add a user</Button>
      </Group>
      {found.data.length > 0 && (
        <Card withBorder padding={0}>
          <Table.ScrollContainer minWidth={520} scrollAreaProps={{ viewportProps: { tabIndex: 0, role: 'group', 'aria-label': 'Users' } }}>
            <Table horizontalSpacing="md" verticalSpacing="sm">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>User</Table.Th>
                  <Table.Th>May</Table.Th>
                  <Table.Th>
                    <span className="unseen">Actions</span>
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {found.data.map((one) => (
                  <Table.Tr key={one.userId}>
                    <Table.Td>
                      <Text size="sm" fw={600} style={{ overflowWrap: 'anywhere' }}>
                        {one.email}
                      </Text>
                      <Text size="xs" c="dimmed">
                        {[one.name !== one.email && one.name, one.userId === me && 'you', one.disabled && 'disabled', !one.hasPassword && 'no password']
                          .filter(Boolean)
                          .join(' · ')}
                      </Text>
                    </Table.Td>
                    <Table.Td>
                      <Group gap={6}>
                        {one.permissions.map((permission) => (
                          <Badge
                            key={permission.permissionId}
                            variant="default"
                            tt="none"
                            radius="sm"
                            rightSection={
                              one.userId !== me && (
                                <Button
                                  size="compact-xs"
                                  variant="transparent"
                                  c="var(--mantine-color-text)"
                                  p={0}
                                  aria-label={`× Take from ${one.email}: ${roleWords(permission, workspaces)}`}
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
                        {one.permissions.length === 0 && (
                          <Text size="sm" c="dimmed">
                            nothing
                          </Text>
                        )}
                      </Group>
                    </Table.Td>
                    <Table.Td ta="right">
                      <Menu position="bottom-end">
                        <Menu.Target>
                          <Button size="xs" variant="default" aria-label={`More for ${one.email}`}>
                            More
                          </Button>
                        </Menu.Target>
                        <Menu.Dropdown>
                          <Menu.Item onClick={() => setGranting(one)}>Give a role …</Menu.Item>
                          {one.userId !== me && (
                            <Menu.Item onClick={() => change.mutate(one)}>{one.disabled ? 'Enable' : 'Disable'}</Menu.Item>
                          )}
                          {one.userId !== me && (
                            <Menu.Item color="red" onClick={() => remove(one)}>
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
          first={found.data.length === 0}
          workspaces={workspaces}
          action="Add the user"
          onClose={() => setAdding(false)}
          send={async ({ email, password, permissions }) => {
            await api.post(`${OWN}/users`, { email, password: password || null, permissions });
            notifySuccess(`${email} may sign in now.`);
            await done();
          }}
        />
      </Modal>
      <Modal opened={granting !== null} onClose={() => setGranting(null)} title={`A role for ${granting?.email ?? ''}`} centered closeButtonProps={{ 'aria-label': 'Close' }}>
        {granting && (
          <Form
            user={granting}
            workspaces={workspaces}
            action="Give the role"
            onClose={() => setGranting(null)}
            send={async ({ permissions }) => {
              await api.post(`${PUBLIC}/permissions`, { userId: granting.userId, ...permissions[0] });
              await done();
            }}
          />
        )}
      </Modal>
      <Confirm asked={asked} onClose={() => setAsked(null)} />
    </Stack>
  );
}

interface Sent {
  email: string;
  password: string;
  permissions: { permissionType: string; workspaceId?: string }[];
}

/** A new user, or with `user` another role for one that is there. */
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
  send: (sent: Sent) => Promise<void>;
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
    } catch (refused) {
      setError(refused);
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
              description="Left empty: they sign in through the identity provider only."
              autoComplete="new-password"
              visibilityToggleButtonProps={{ 'aria-label': 'Show the password' }}
            />
          </>
        )}
        {first ? (
          <Text size="sm">The first user is an admin of the server. You sign in as that user next.</Text>
        ) : (
          <>
            <NativeSelect label="Role" value={role} data={ROLES} onChange={(event) => setRole(event.currentTarget.value)} />
            {role !== 'instance_admin' && (
              <NativeSelect name="workspace" label="In the workspace" data={workspaces.map((one) => ({ value: one.workspaceId, label: one.name }))} />
            )}
          </>
        )}
        {error !== null && <ErrorNote error={error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Leave it
          </Button>
          <Button type="submit" loading={busy}>
            {action}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
