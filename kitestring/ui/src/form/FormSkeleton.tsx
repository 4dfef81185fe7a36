/** The outline of a form while its fields are read: labels above inputs, in the form's card. */
import { Card, Skeleton, Stack } from '@mantine/core';

import { t } from '../text';

const FIELDS = 5;

export function FormSkeleton() {
  return (
    <Card withBorder padding="lg" role="status" aria-label={t('Loading the form…')}>
      <Stack gap="lg">
        {Array.from({ length: FIELDS }, (_, n) => (
          <Stack key={n} gap={6}>
            <Skeleton height={12} width={110 + 30 * (n % 3)} />
            <Skeleton height={36} />
          </Stack>
        ))}
      </Stack>
    </Card>
  );
}
