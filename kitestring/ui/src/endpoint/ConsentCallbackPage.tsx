/** Where a vendor's consent ends: tells the page that began it, and closes. */
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
          {error ? 'Access was not given' : 'Access was given'}
        </Title>
        <Text c="dimmed">{error ? `The vendor said: ${error}.` : 'You can close this window.'}</Text>
      </Stack>
    </Center>
  );
}
