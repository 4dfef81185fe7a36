/** An error message with its hint. */
import { Alert, Button, Group, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';

import { ApiError } from '../api/client';
import { t } from '../text';
import { CodeText } from './CodeText';

export function ErrorNote({ error, retry }: { error: unknown; retry?: () => void }) {
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof ApiError ? error.hint : '';
  return (
    <Alert color="red" variant="light" icon={<IconAlertTriangle aria-hidden />} role="alert" title={<CodeText text={message} />}>
      {(hint || retry) && (
        <Group justify="space-between" gap="sm">
          {hint && (
            <Text size="sm" c="var(--mantine-color-text)">
              <CodeText text={hint} />
            </Text>
          )}
          {retry && (
            <Button size="xs" variant="default" onClick={retry}>
              {t('Try again')}
            </Button>
          )}
        </Group>
      )}
    </Alert>
  );
}
