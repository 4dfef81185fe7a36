/** The permission of readers of a destination: what everybody but admins may see of its data, and which programs read for others. */
import { Alert, Button, Card, Code, Group, JsonInput, Stack, Text, Title } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { api, OWN } from '../api/client';
import { queryClient } from '../api/queries';
import type { ReaderPermission as Permission } from '../api/schema.gen';
import { Tags } from '../form/Tags';
import { ErrorNote } from '../shell/ErrorNote';
import { notifySuccess } from '../shell/notify';
import { t } from '../text';

const pathOf = (destinationId: string) => `${OWN}/destinations/${destinationId}/reader-permission`;
const keyOf = (destinationId: string) => ['endpoints', 'destination', 'one', destinationId, 'reader-permission'];

const EXAMPLE = '{"allowed_users": {"contains": "$user"}}';

export function ReaderPermission({ destinationId, mayEdit }: { destinationId: string; mayEdit: boolean }) {
  const stored = useQuery({ queryKey: keyOf(destinationId), queryFn: () => api.get<Permission>(pathOf(destinationId)) });
  if (stored.error) return <ErrorNote error={stored.error} retry={() => void stored.refetch()} />;
  if (!stored.data || (!mayEdit && !stored.data.permission)) return null;
  return (
    <Card withBorder padding="lg">
      <Title order={2} size="h5" mb="xs">
        {t('Permission of readers')}
      </Title>
      {mayEdit ? (
        <PermissionForm destinationId={destinationId} stored={stored.data} />
      ) : (
        <Stack gap="xs">
          <Text size="sm">{t('You see only the data that passes these conditions.')}</Text>
          <Code block>{JSON.stringify(stored.data.permission, null, 2)}</Code>
        </Stack>
      )}
    </Card>
  );
}

function PermissionForm({ destinationId, stored }: { destinationId: string; stored: Permission }) {
  const [text, setText] = useState(stored.permission ? JSON.stringify(stored.permission, null, 2) : '');
  const [applications, setApplications] = useState(stored.applications);
  const conditions = parsed(text);
  const saving = useMutation({
    mutationFn: () => api.put<Permission>(pathOf(destinationId), { permission: conditions, applications: conditions ? applications : [] }),
    onSuccess: (saved) => {
      queryClient.setQueryData(keyOf(destinationId), saved);
      void queryClient.invalidateQueries({ queryKey: ['data', destinationId] });
      notifySuccess(saved.permission ? t('The permission was saved') : t('The permission was removed'));
    },
  });
  return (
    <Stack gap="sm">
      <Text size="sm" c="dimmed">
        {t('Users who are no admin see only records that pass these conditions: in searches, rows, maps and counts. {user} is the e-mail address of the user. Empty: they see everything.', {
          user: '$user',
        })}
      </Text>
      <JsonInput
        label={t('Conditions')}
        placeholder={EXAMPLE}
        autosize
        minRows={2}
        maxRows={14}
        formatOnBlur
        value={text}
        onChange={setText}
        error={conditions === undefined ? t('This is not a JSON object.') : undefined}
      />
      {conditions && (
        <Tags
          label={t('Applications that read for others')}
          description={t('Client ids. Such a program names its reader in each request, in the header {header}.', { header: 'Kitestring-On-Behalf-Of' })}
          value={applications}
          onChange={setApplications}
        />
      )}
      {conditions === null && stored.permission && <Alert color="yellow">{t('Without conditions, every user of the workspace sees all data of this destination.')}</Alert>}
      {saving.error && <ErrorNote error={saving.error} />}
      <Group>
        <Button onClick={() => saving.mutate()} loading={saving.isPending} disabled={conditions === undefined}>
          {t('Save the permission')}
        </Button>
      </Group>
    </Stack>
  );
}

/** The conditions; null for an empty text, undefined for one that is no object. */
function parsed(text: string): Record<string, unknown> | null | undefined {
  if (!text.trim()) return null;
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
