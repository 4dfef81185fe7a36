/** What a connection does when the schema of its source changes: `nonBreakingSchemaUpdatesBehavior` of Airbyte's API. */
import { t } from '../text';

export const policies = () => [
  { value: 'propagate_columns', label: t('Add new fields') },
  { value: 'propagate_fully', label: t('Add new fields and streams') },
  { value: 'ignore', label: t('Ignore new fields and streams') },
  { value: 'disable_connection', label: t('Pause the connection and ask') },
];
