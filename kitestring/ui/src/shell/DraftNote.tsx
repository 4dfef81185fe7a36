/** Says that somebody else saved the same thing while the user changed it, and what became of both. */
import { Alert, Button, Group, Text } from '@mantine/core';
import { IconUsers } from '@tabler/icons-react';

import { t } from '../text';
import type { Draft } from './useDraft';

export function DraftNote<T>({ draft, label = (path) => path }: { draft: Draft<T>; /** The words for the path of a field. */ label?: (path: string) => string }) {
  if (!draft.isOvertaken) return null;
  return (
    <Alert variant="light" color="yellow" role="status" icon={<IconUsers aria-hidden />} title={t('Somebody else saved changes meanwhile')}>
      <Group justify="space-between" gap="sm">
        <Text size="sm" style={{ flex: '1 1 240px' }}>
          {t('Your unsaved changes are kept. All other values are now the saved ones.')}{' '}
          {draft.collisions.length > 0 && t('You both changed: {fields}. Saving keeps your values.', { fields: draft.collisions.map(label).join(', ') })}
        </Text>
        <Button size="xs" variant="default" onClick={draft.reset}>
          {t('Discard my changes')}
        </Button>
      </Group>
    </Alert>
  );
}
