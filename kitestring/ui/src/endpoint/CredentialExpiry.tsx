/** Warnings about credentials of a source that expire. */
import { Alert, Text } from '@mantine/core';
import { IconKey } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';

import { currentLanguage, plural, t } from '../text';
import { credentialExpiryQuery } from './endpoints';

const SOON_DAYS = 30;

export function CredentialExpiry({ sourceId }: { sourceId: string }) {
  const credentials = useQuery(credentialExpiryQuery(sourceId));
  return credentials.data?.map(({ name, endsAt, daysLeft, hint }) => {
    const day = new Date(endsAt).toLocaleDateString(currentLanguage(), { dateStyle: 'long' });
    const expired = daysLeft < 0;
    return (
      <Alert
        key={name}
        color={expired ? 'red' : daysLeft < SOON_DAYS ? 'yellow' : 'blue'}
        variant="light"
        icon={<IconKey aria-hidden />}
        role="status"
        title={
          expired
            ? t('{name} expired on {day}', { name, day })
            : plural(daysLeft, '{name} expires on {day}, in {count} day', '{name} expires on {day}, in {count} days', { name, day })
        }
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
