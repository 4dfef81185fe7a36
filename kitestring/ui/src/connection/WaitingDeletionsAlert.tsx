/** Deletions that wait: the source did not list many of the records, and nobody has confirmed that they are gone. */
import { Alert, Button, Group, List, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import type { ConnectionDetail, WaitingDeletions } from '../api/schema.gen';
import { notifyError, notifySuccess } from '../shell/notify';
import { t } from '../text';

export function WaitingDeletionsAlert({ connection, edit }: { connection: ConnectionDetail; edit: boolean }) {
  const client = useQueryClient();
  const place = `${OWN}/connections/${connection.connectionId}/deletions`;
  const queryKey = ['connection', connection.connectionId, 'deletions', connection.job?.jobId];
  const waiting = useQuery({ queryKey, queryFn: ({ signal }) => api.get<WaitingDeletions>(place, {}, signal), retry: false });
  const accept = useMutation({
    mutationFn: () => api.post(`${place}/accept`),
    onSuccess: async () => {
      notifySuccess(t('The next sync deletes them.'));
      await client.invalidateQueries({ queryKey });
    },
    onError: notifyError,
  });
  const streams = Object.entries(waiting.data?.streams ?? {});
  if (streams.length === 0) return null;
  return (
    <Alert color="orange" variant="light" icon={<IconAlertTriangle aria-hidden />} title={t('Many records are missing in the source')}>
      <Stack gap="xs">
        <List size="sm">
          {streams.map(([stream, { missing, held }]) => (
            <List.Item key={stream}>{t('{stream}: the source does not list {missing} of {held} records.', { stream, missing, held })}</List.Item>
          ))}
        </List>
        <Text size="sm">{t('They stay until the next sync finds the same, or until you accept it.')}</Text>
        {edit && (
          <Group>
            <Button size="xs" loading={accept.isPending} onClick={() => accept.mutate()}>
              {t('Delete them with the next sync')}
            </Button>
          </Group>
        )}
      </Stack>
    </Alert>
  );
}
