/** What changed in the source's schema since the streams of a connection were chosen. */
import { Alert, Stack, Text } from '@mantine/core';

import type { SchemaChanges } from '../api/schema.gen';
import { t } from '../text';

const MAX_NAMES = 20;

/** The kinds of changes with their titles. */
export const changeKinds = () =>
  [
    ['newStreams', t('New streams')],
    ['goneStreams', t('Removed streams')],
    ['newFields', t('New fields')],
    ['goneFields', t('Removed fields')],
    ['otherTypes', t('Fields with a changed type')],
  ] as const;

export function SchemaDifference({ difference, onClose }: { difference: SchemaChanges; onClose: () => void }) {
  const kinds = changeKinds().filter(([kind]) => difference[kind].length > 0);
  return (
    <Alert
      variant="light"
      color="kite"
      role="status"
      withCloseButton
      closeButtonLabel={t('Close')}
      onClose={onClose}
      title={kinds.length ? t('The source schema changed since the streams were chosen') : t('The schemas of the source and the connection are equal')}
    >
      {kinds.length > 0 && (
        <Stack gap={4}>
          {kinds.map(([kind, title]) => (
            <Text key={kind} size="sm" style={{ overflowWrap: 'anywhere' }}>
              <b>{title}:</b> {difference[kind].slice(0, MAX_NAMES).join(', ')}
              {difference[kind].length > MAX_NAMES && ` ${t('and {count} more', { count: difference[kind].length - MAX_NAMES })}`}
            </Text>
          ))}
          <Text size="sm">{t('Saving the streams applies the new schema.')}</Text>
        </Stack>
      )}
    </Alert>
  );
}
