/** Pending changes of the source schema, with buttons to accept or dismiss them. */
import { Alert, Button, Code, Group, List, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';

import { api, OWN } from '../api/client';
import type { ConnectionDetail } from '../api/schema.gen';
import { useActions } from '../connections/useActions';
import { notifySuccess, notifyError } from '../shell/notify';
import { t } from '../text';
import { changeKinds } from './SchemaDifference';

const MAX_NAMES = 12;

export function SchemaChangesAlert({ connection, edit }: { connection: ConnectionDetail; edit: boolean }) {
  const { invalidate } = useActions(connection);
  const decide = useMutation({
    mutationFn: (decision: 'accept' | 'dismiss') => api.post(`${OWN}/connections/${connection.connectionId}/changes/${decision}`),
    onSuccess: async () => {
      notifySuccess(t('The connection resumes.'));
      await invalidate();
    },
    onError: notifyError,
  });
  const changes = connection.changes!;
  const breaks = changes.breaking.length > 0;
  return (
    <Alert color="orange" variant="light" icon={<IconAlertTriangle aria-hidden />} title={t('The source schema changed and needs your decision')}>
      <Stack gap="xs">
        {breaks && (
          <List size="sm">
            {changes.breaking.map((sentence) => (
              <List.Item key={sentence}>{sentence.charAt(0).toUpperCase() + sentence.slice(1)}.</List.Item>
            ))}
          </List>
        )}
        {changeKinds().filter(([kind]) => changes[kind].length > 0).map(([kind, title]) => (
          <Group key={kind} gap={6} align="baseline">
            <Text size="sm" fw={600}>
              {title}
            </Text>
            {changes[kind].slice(0, MAX_NAMES).map((name) => (
              <Code key={name}>{name}</Code>
            ))}
            {changes[kind].length > MAX_NAMES && <Text size="sm">{t('and {count} more', { count: changes[kind].length - MAX_NAMES })}</Text>}
          </Group>
        ))}
        <Text size="sm">
          {breaks
            ? t('A stream cannot sync without its key, its cursor or the stream itself. Accept the change, choose other streams, or correct the source.')
            : t('Accept applies the new schema. Dismiss keeps the current fields and ignores new ones.')}
        </Text>
        {edit && (
          <Group gap="xs">
            <Button size="xs" loading={decide.isPending && decide.variables === 'accept'} onClick={() => decide.mutate('accept')}>
              {t('Accept and resume')}
            </Button>
            {!breaks && (
              <Button
                size="xs"
                variant="default"
                loading={decide.isPending && decide.variables === 'dismiss'}
                onClick={() => decide.mutate('dismiss')}
              >
                {t('Dismiss and resume')}
              </Button>
            )}
            <Button size="xs" variant="default" component={Link} to={`/connections/${connection.connectionId}`} search={{ tab: 'streams' } as never}>
              {t('Choose the streams')}
            </Button>
          </Group>
        )}
      </Stack>
    </Alert>
  );
}
