/** The outline of a page's part while it is read, so that a reader sees what comes: cards, or rows of a table. */
import { Card, Group, SimpleGrid, Skeleton, Stack } from '@mantine/core';

import { t } from '../text';

/** Cards in a grid: an icon, a name and a line. */
export function CardsSkeleton({ label, cards = 8 }: { label?: string; cards?: number }) {
  return (
    <Stack role="status" aria-label={label ?? t('Loading')} gap="md">
      <Skeleton height={36} />
      <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }} spacing="sm">
        {Array.from({ length: cards }, (_, n) => (
          <Card key={n} withBorder padding="sm">
            <Group gap="sm" wrap="nowrap" align="flex-start">
              <Skeleton height={36} width={36} style={{ flexShrink: 0 }} />
              <Stack gap={8} flex={1}>
                <Skeleton height={12} width={`${40 + 15 * (n % 3)}%`} />
                <Skeleton height={10} />
              </Stack>
            </Group>
          </Card>
        ))}
      </SimpleGrid>
    </Stack>
  );
}

/** Rows under a head. */
export function RowsSkeleton({ label, rows = 6 }: { label?: string; rows?: number }) {
  return (
    <Card withBorder padding="md" role="status" aria-label={label ?? t('Loading')}>
      <Stack gap="md">
        <Skeleton height={12} width={180} />
        {Array.from({ length: rows }, (_, n) => (
          <Group key={n} gap="lg" wrap="nowrap">
            <Skeleton height={14} width={`${30 + 10 * (n % 3)}%`} />
            <Skeleton height={14} width="20%" />
            <Skeleton height={14} width="25%" />
          </Group>
        ))}
      </Stack>
    </Card>
  );
}
