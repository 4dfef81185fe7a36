/** Client ids and secrets for programs; a secret is shown once, when it is created. */
import { Alert, Button, Card, Code, CopyButton, Group, Stack, Table, Text, TextInput } from '@mantine/core';
import { IconKey } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';

import { api, PUBLIC } from '../api/client';
import type { ApplicationRead, ApplicationReadList } from '../api/schema.gen';
import { type Confirmation, Confirm } from '../shell/Confirm';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { notifySuccess } from '../shell/notify';
import { Time } from '../shell/Time';
import { t } from '../text';

export function ApplicationsTab() {
  const client = useQueryClient();
  const applications = useQuery({
    queryKey: ['applications'],
    queryFn: async () => (await api.get<ApplicationReadList>(`${PUBLIC}/applications`)).applications,
  });
  const [name, setName] = useState('');
  const [created, setCreated] = useState<ApplicationRead | null>(null);
  const [confirmation, setConfirmation] = useState<Confirmation | null>(null);
  const invalidate = () => client.invalidateQueries({ queryKey: ['applications'] });
  const creating = useMutation({
    mutationFn: () => api.post<ApplicationRead>(`${PUBLIC}/applications`, { name: name.trim() }),
    onSuccess: async (application) => {
      setCreated(application);
      setName('');
      await invalidate();
    },
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    creating.mutate();
  }

  const remove = (application: ApplicationRead) =>
    setConfirmation({
      title: t('Delete {name}?', { name: application.name }),
      body: t('Programs that use it lose access. This cannot be undone.'),
      action: t('Delete the application'),
      danger: true,
      run: async () => {
        await api.delete(`${PUBLIC}/applications/${application.id}`);
        if (created?.id === application.id) setCreated(null);
        notifySuccess(t('{name} was deleted.', { name: application.name }));
        await invalidate();
      },
    });

  return (
    <Stack maw={820}>
      <Text size="sm" c="dimmed">
        {t('A program signs in with a client id and a secret, and has your permissions.')}
      </Text>
      <form onSubmit={submit}>
        <Group align="flex-end" gap="xs">
          <TextInput label={t('Name of a new application')} placeholder="airflow" value={name} onChange={(event) => setName(event.currentTarget.value)} required style={{ flex: '1 1 220px' }} maw={340} />
          <Button type="submit" loading={creating.isPending} disabled={name.trim() === ''}>
            {t('Create')}
          </Button>
        </Group>
      </form>
      {creating.error && <ErrorNote error={creating.error} />}
      {created && (
        <Alert color="green" variant="light" icon={<IconKey aria-hidden />} role="status" title={t('The secret of {name}. It is shown only once', { name: created.name })}>
          <Stack gap={6}>
            {(
              [
                [t('Client id'), created.clientId],
                [t('Client secret'), created.clientSecret],
              ] as const
            ).map(([label, value]) => (
              <Group key={label} gap="xs">
                <Text size="sm" w={110}>
                  {label}
                </Text>
                <Code style={{ overflowWrap: 'anywhere' }}>{value}</Code>
                <CopyButton value={value}>
                  {({ copied, copy }) => (
                    <Button size="compact-xs" variant="default" onClick={copy} aria-label={t('Copy: {label}', { label })}>
                      {copied ? t('Copied') : t('Copy')}
                    </Button>
                  )}
                </CopyButton>
              </Group>
            ))}
          </Stack>
        </Alert>
      )}
      {applications.error && <ErrorNote error={applications.error} retry={() => void applications.refetch()} />}
      {applications.isPending && <RowsSkeleton />}
      {applications.data && applications.data.length > 0 && (
        <Card withBorder padding={0}>
          <Table.ScrollContainer minWidth={420} scrollAreaProps={{ viewportProps: { tabIndex: 0, role: 'group', 'aria-label': t('Applications') } }}>
            <Table horizontalSpacing="md" verticalSpacing="sm">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('Name')}</Table.Th>
                  <Table.Th>{t('Client id')}</Table.Th>
                  <Table.Th>{t('Created')}</Table.Th>
                  <Table.Th>
                    <span className="unseen">{t('Actions')}</span>
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {applications.data.map((application) => (
                  <Table.Tr key={application.id}>
                    <Table.Td>{application.name}</Table.Td>
                    <Table.Td>
                      <Code>{application.clientId}</Code>
                    </Table.Td>
                    <Table.Td>
                      <Time ms={application.createdAt * 1000} />
                    </Table.Td>
                    <Table.Td ta="right">
                      <Button size="xs" variant="default" c="var(--mantine-color-error)" aria-label={t('Delete {name}', { name: application.name })} onClick={() => remove(application)}>
                        {t('Delete …')}
                      </Button>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </Card>
      )}
      <Confirm confirmation={confirmation} onClose={() => setConfirmation(null)} />
    </Stack>
  );
}
