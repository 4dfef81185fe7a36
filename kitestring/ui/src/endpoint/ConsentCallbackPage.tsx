/** The callback of an OAuth consent: reports the result to the page that started it, and closes. */
import { Center, Stack, Text, Title } from '@mantine/core';
import { useEffect } from 'react';

import { t } from '../text';
import { CONSENT_CHANNEL, type ConsentResult } from './consentChannel';

export function ConsentCallbackPage() {
  const parameters = new URLSearchParams(window.location.search);
  const error = parameters.get('error');
  useEffect(() => {
    if (error) return;
    const channel = new BroadcastChannel(CONSENT_CHANNEL);
    channel.postMessage({ secretId: parameters.get('secret_id') ?? undefined, projectId: parameters.get('project_id') ?? undefined } satisfies ConsentResult);
    channel.close();
    window.history.replaceState(null, '', '/consented');
    window.close();
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  return (
    <Center mih="60vh" p="md">
      <Stack gap="xs" ta="center">
        <Title order={1} size="h3">
          {error ? t('Access was not granted') : t('Access granted')}
        </Title>
        <Text c="dimmed">{error ? t('Error from the vendor: {error}.', { error }) : t('You can close this window.')}</Text>
      </Stack>
    </Center>
  );
}
