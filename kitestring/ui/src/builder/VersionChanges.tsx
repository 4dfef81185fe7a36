/** What is different between two versions of a connector, in sentences; what breaks those who use it is marked. */
import { Badge, List, Stack, Text } from '@mantine/core';

import type { VersionChangeRead } from '../api/schema.gen';
import { CodeText } from '../shell/CodeText';
import { t } from '../text';

const MOST = 100;

export function VersionChanges({ changes }: { changes: readonly VersionChangeRead[] }) {
  if (changes.length === 0)
    return (
      <Text size="sm" c="dimmed">
        {t('Nothing changes for those who use the connector.')}
      </Text>
    );
  return (
    <Stack gap={6} component="section" aria-label={t('Changes')}>
      <Text size="sm" fw={600}>
        {t('What changes')}
      </Text>
      <List size="sm" spacing={4}>
        {changes.slice(0, MOST).map((change, index) => (
          <List.Item key={`${index} ${change.sentence}`}>
            <CodeText text={change.sentence} />{' '}
            {change.breaking && (
              <Badge size="sm" color="red" variant="light" tt="none" radius="sm" c="var(--mantine-color-text)">
                {t('breaking')}
              </Badge>
            )}
          </List.Item>
        ))}
      </List>
      {changes.length > MOST && (
        <Text size="sm" c="dimmed">
          {t('And {count} more.', { count: changes.length - MOST })}
        </Text>
      )}
    </Stack>
  );
}
