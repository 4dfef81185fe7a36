/** The last step of a new connection: estimate and start the first sync. */
import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { IconCircleCheck, IconPlayerPlay } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';

import { api, OWN } from '../api/client';
import { queryClient } from '../api/queries';
import type { SyncEstimate } from '../api/schema.gen';
import { connectionQuery } from '../connections/overviews';
import { ErrorNote } from '../shell/ErrorNote';
import { t } from '../text';
import { SyncEstimateCard } from './SyncEstimateCard';

export function FirstSync({ connectionId }: { connectionId: string }) {
  const navigate = useNavigate();
  const name = useQuery(connectionQuery(connectionId)).data?.name ?? t('The connection');
  const estimating = useMutation({
    mutationFn: () => api.post<SyncEstimate>(`${OWN}/connections/${connectionId}/estimate`, undefined, { sample: 500 }),
  });
  const starting = useMutation({
    mutationFn: () => api.post(`${OWN}/connections/${connectionId}/sync`),
    onSuccess: async () => {
      void queryClient.invalidateQueries();
      await navigate({ to: `/connections/${connectionId}` });
    },
  });
  return (
    <Stack maw={860}>
      <Alert color="green" variant="light" icon={<IconCircleCheck aria-hidden />} role="status" title={t('{name} was created', { name })}>
        <Text size="sm">{t('Start the first sync now, or estimate what it reads and costs. An estimate writes nothing.')}</Text>
      </Alert>
      <Group>
        <Button leftSection={<IconPlayerPlay size={16} aria-hidden />} loading={starting.isPending} onClick={() => starting.mutate()}>
          {t('Start the first sync')}
        </Button>
        <Button variant="default" loading={estimating.isPending} onClick={() => estimating.mutate()}>
          {t('Estimate')}
        </Button>
        <Button variant="subtle" component={Link} to={`/connections/${connectionId}`}>
          {t('Open the connection')}
        </Button>
      </Group>
      {starting.error && <ErrorNote error={starting.error} />}
      {estimating.error && <ErrorNote error={estimating.error} retry={() => estimating.mutate()} />}
      {estimating.data && <SyncEstimateCard estimate={estimating.data} />}
    </Stack>
  );
}
