/** The connectors that are used here: their versions, newer ones and what these change, and the way back. */
import { Button, Group, Paper, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import type { ConnectorUpdates } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { notifyError, notifySuccess } from '../shell/notify';
import { Time } from '../shell/Time';
import { plural, t } from '../text';
import { ConnectorCard } from './ConnectorCard';

export function UpdatesTab({ workspaceId, server }: { workspaceId: string; server: boolean }) {
  const client = useQueryClient();
  const key = ['connector updates', workspaceId];
  const updates = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => api.get<ConnectorUpdates>(`${OWN}/connector-updates`, { workspaceIds: workspaceId }, signal),
  });
  const refreshing = useMutation({
    mutationFn: () => api.post(`${OWN}/connector-updates/refresh`),
    onSuccess: async () => {
      notifySuccess(t('The index of connectors was refreshed.'));
      await client.invalidateQueries({ queryKey: key });
    },
    onError: notifyError,
  });
  if (updates.error) return <ErrorNote error={updates.error} retry={() => void updates.refetch()} />;
  if (!updates.data) return <RowsSkeleton />;
  const { data, indexAtMs } = updates.data;
  const own = data.filter((connector) => connector.origin === 'kitestring');
  const others = data.filter((connector) => connector.origin !== 'kitestring');
  const newer = others.filter((connector) => connector.newer);
  return (
    <Stack maw={900}>
      <Group justify="space-between" gap="xs">
        <div>
          <Text fw={600}>
            {newer.length > 0
              ? plural(newer.length, '{count} connector has a newer version', '{count} connectors have a newer version')
              : others.length > 0
                ? t('Every connector is up to date')
                : t('All connectors in use are part of Kitestring')}
          </Text>
          <Text size="sm" c="dimmed">
            {indexAtMs ? (
              <>
                {t('Index last refreshed')} <Time ms={indexAtMs} />.
              </>
            ) : (
              t('The versions come from the index in this release of Kitestring.')
            )}
          </Text>
        </div>
        {server && (
          <Button variant="default" loading={refreshing.isPending} onClick={() => refreshing.mutate()}>
            {t('Ask the registry')}
          </Button>
        )}
      </Group>
      {others.map((connector) => (
        <ConnectorCard key={connector.definitionId} connector={connector} server={server} onChanged={() => client.invalidateQueries({ queryKey: key })} />
      ))}
      {own.length > 0 && (
        <Paper withBorder p="md" component="section" aria-label={t('Connectors of Kitestring')}>
          <Text fw={600}>{t('Connectors of Kitestring')}</Text>
          <Text size="sm" c="dimmed">
            {t('They have no separate versions and are updated with Kitestring. The version in use is {version}.', { version: own[0]!.version })}
          </Text>
          <Text size="sm" mt={6}>
            {own.map((connector) => connector.name).join(', ')}
          </Text>
        </Paper>
      )}
      {data.length === 0 && (
        <Text c="dimmed" size="sm">
          {t('No source or destination uses a connector yet.')}
        </Text>
      )}
    </Stack>
  );
}
