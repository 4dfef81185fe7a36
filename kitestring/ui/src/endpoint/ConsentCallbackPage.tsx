/** The callback of an OAuth consent: reports the result to the page that started it, and closes. */
import { Center, Stack, Text, Title } from '@mantine/core';
import { useEffect } from 'react';

import { CONSENT_CHANNEL } from './consentChannel';

export function ConsentCallbackPage() {
  const parameters = new URLSearchParams(window.location.search);
  const error = parameters.get('error');
  useEffect(() => {
    if (error) return;
    const channel = new BroadcastChannel(CONSENT_CHANNEL);
    channel.postMessage({ secretId: parameters.get('secret_id') ?? undefined });
    channel.close();
    window.history.replaceState(null, '', '/consented');
    window.close();
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  return (
    <Center mih="60vh" p="md">
      <Stack gap="xs" ta="center">
        <Title order={1} size="h3">
          {error ? 'Access was not granted' : 'Access granted'}
        </Title>
        <Text c="dimmed">{error ? `Error from the vendor: ${error}.` : 'You can close this window.'}</Text>
      </Stack>
    </Center>
  );
}
