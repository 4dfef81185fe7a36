/** What a connection does when the schema of its source changes: `nonBreakingSchemaUpdatesBehavior` of Airbyte's API. */
import { Radio, Stack } from '@mantine/core';

import { t } from '../text';

const POLICIES = () => [
  { value: 'propagate_columns', label: t('Add new fields') },
  { value: 'propagate_fully', label: t('Add new fields and streams') },
  { value: 'ignore', label: t('Ignore new fields and streams') },
  { value: 'disable_connection', label: t('Pause the connection and ask') },
];

export function SchemaPolicy({ policy, onChange }: { policy: string; onChange: (policy: string) => void }) {
  return (
    <Radio.Group
      label={t('When the source schema changes')}
      description={t('The schema is read before each sync. A breaking change (the key, the cursor or the stream itself was removed) always pauses the connection.')}
      value={policy}
      onChange={onChange}
    >
      <Stack gap={6} mt={6}>
        {POLICIES().map(({ value, label }) => (
          <Radio key={value} value={value} label={label} />
        ))}
      </Stack>
    </Radio.Group>
  );
}
