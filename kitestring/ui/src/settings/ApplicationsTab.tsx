/** Client ids and secrets for programs; a secret is shown once, when it is made. */
import { Alert, Button, Card, Code, CopyButton, Group, Skeleton, Stack, Table, Text, TextInput } from '@mantine/core';
import { IconKey } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';

import { api, PUBLIC } from '../api/client';
import type { ApplicationRead, ApplicationReadList } from '../api/schema.gen';
import { type Asked, Confirm } from '../shell/Confirm';
import { ErrorNote } from '../shell/ErrorNote';
import { notifySuccess } from '../shell/notify';
import { Time } from '../shell/Time';

export function ApplicationsTab() {
  const client = useQueryClient();
  const found = useQuery({
    queryKey: ['applications'],
    queryFn: async () => (await api.get<ApplicationReadList>(`${PUBLIC}/applications`)).applications,
  });
  const [name, setName] = useState('');
  const [made, setMade] = useState<ApplicationRead | null>(null);
  const [asked, setAsked] = useState<Asked | null>(null);
  const done = () => client.invalidateQueries({ queryKey: ['applications'] });
  const making = useMutation({
    mutationFn: () => api.post<ApplicationRead>(`${PUBLIC}/applications`, { name: name.trim() }),
    onSuccess: async (application) => {
      setMade(application);
      setName('');
      await done();
    },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    making.mutate();
  }

  const remove = (one: ApplicationRead) =>
    setAsked({
      title: `Delete ${one.name}?`,
      what: 'Programs that use it are refused from then on. This cannot be undone.',
      action: 'Delete the application',
      danger: true,
      run: async () => {
        await api.delete(`${PUBLIC}/applications/${one.id}`);
        if (made?.id === one.id) setMade(null);
        notifySuccess(`${one.name} was deleted.`);
        await done();
      },
    });

  return (
    <Stack maw={820}>
      <Text size="sm" c="dimmed">
        A program signs in with a client id and a secret, and may do what you may.
      </Text>
      <form onSubmit={submit}>
        <Group align="flex-end" gap="xs">
          <TextInput label="Name of a new application" placeholder="airflow" value={name} onChange={(event) => setName(event.currentTarget.value)} required style={{ flex: '1 1 220px' }} maw={340} />
          <Button type="submit" loading={making.isPending} disabled={name.trim() === ''}>
            Make
          </Button>
        </Group>
      </form>
      {making.error && <ErrorNote error={making.error} />}
      {made && (
        <Alert color="green" variant="light" icon={<IconKey aria-hidden />} role="status" title={`The secret of ${made.name}: it is shown this once`}>
          <Stack gap={6}>
            {(
              [
                ['Client id', made.clientId],
                ['Client secret', made.clientSecret],
              ] as const
            ).map(([label, value]) => (
              <Group key={label} gap="xs">
                <Text size="sm" w={110}>
                  {label}
                </Text>
                <Code style={{ overflowWrap: 'anywhere' }}>{value}</Code>
                <CopyButton value={value}>
                  {({ copied, copy }) => (
                    <Button size="compact-xs" variant="default" onClick={copy} aria-label={`Copy the ${label.toLowerCase()}`}>
                      {copied ? 'Copied' : 'Copy'}
                    </Button>
                  )}
                </CopyButton>
              </Group>
            ))}
          </Stack>
        </Alert>
      )}
      {found.error && <ErrorNote error={found.error} retry={() => void found.refetch()} />}
      {found.isPending && <Skeleton h={120} />}
      {found.data && found.data.length > 0 && (
        <Card withBorder padding={0}>
          <Table.ScrollContainer minWidth={420} scrollAreaProps={{ viewportProps: { tabIndex: 0, role: 'group', 'aria-label': 'Applications' } }}>
            <Table horizontalSpacing="md" verticalSpacing="sm">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Name</Table.Th>
                  <Table.Th>Client id</Table.Th>
                  <Table.Th>Made</Table.Th>
                  <Table.Th>
                    <span className="unseen">Actions</span>
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {found.data.map((one) => (
                  <Table.Tr key={one.id}>
                    <Table.Td>{one.name}</Table.Td>
                    <Table.Td>
                      <Code>{one.clientId}</Code>
                    </Table.Td>
                    <Table.Td>
                      <Time ms={one.createdAt * 1000} />
                    </Table.Td>
                    <Table.Td ta="right">
                      <Button size="xs" variant="default" c="var(--mantine-color-error)" aria-label={`Delete ${one.name}`} onClick={() => remove(one)}>
                        Delete …
                      </Button>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </Card>
      )}
      <Confirm asked={asked} onClose={() => setAsked(null)} />
    </Stack>
  );
}
