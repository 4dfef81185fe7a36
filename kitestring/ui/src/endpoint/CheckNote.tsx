/** The result of a test. A failed one says what to do, and where it stands at a field of the form. */
import { Alert, Anchor, Group, Stack, Text } from '@mantine/core';
import { IconCircleCheck, IconPlugConnectedX } from '@tabler/icons-react';

import type { CheckResult } from '../api/schema.gen';
import { RichText } from '../form/RichText';
import { t } from '../text';

interface Props {
  result: CheckResult;
  /** The message is shown at its field. */
  atField?: boolean;
  onSaveAnyway?: () => void;
  /** A text with the words of the form in it. */
  words?: (text: string) => string;
}

export function CheckNote({ result, atField = false, onSaveAnyway, words = (text) => text }: Props) {
  if (result.status === 'succeeded')
    return (
      <Alert color="green" variant="light" role="status" icon={<IconCircleCheck aria-hidden />} title={t('It works')}>
        <Text size="sm">{t('Connected, and the credentials were accepted.')}</Text>
      </Alert>
    );
  return (
    <Alert
      color="red"
      variant="light"
      role="alert"
      icon={<IconPlugConnectedX aria-hidden />}
      title={onSaveAnyway ? t('The test failed, nothing was saved') : t('The test failed')}
    >
      <Stack gap={4}>
        {!atField && (
          <Text size="sm">
            <RichText text={words(result.message ?? '')} />
          </Text>
        )}
        {result.hint && (
          <Text size="sm" c="var(--mantine-color-text)">
            <RichText text={words(result.hint)} />
          </Text>
        )}
        {onSaveAnyway && (
          <Group gap={4} mt={4}>
            <Anchor component="button" type="button" size="sm" onClick={onSaveAnyway}>
              {t('Save anyway')}
            </Anchor>
          </Group>
        )}
      </Stack>
    </Alert>
  );
}
