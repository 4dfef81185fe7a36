/** When the credentials of a source end, before they do. */
import { Alert, Text } from '@mantine/core';
import { IconKey } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';

import { credentialExpiryQuery } from './endpoints';

const SOON_DAYS = 30;

export function CredentialExpiry({ sourceId }: { sourceId: string }) {
  const ends = useQuery(credentialExpiryQuery(sourceId));
  return ends.data?.map(({ name, endsAt, daysLeft, hint }) => {
    const day = new Date(endsAt).toLocaleDateString(undefined, { dateStyle: 'long' });
    const over = daysLeft < 0;
    return (
      <Alert
        key={name}
        color={over ? 'red' : daysLeft < SOON_DAYS ? 'yellow' : 'blue'}
        variant="light"
        icon={<IconKey aria-hidden />}
        role="status"
        title={over ? `${name} ended on ${day}` : `${name} ends on ${day}, in ${daysLeft} days`}
      >
        {hint && (
          <Text size="sm" c="var(--mantine-color-text)">
            {hint}
          </Text>
        )}
      </Alert>
    );
  });
}
