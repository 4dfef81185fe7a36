/** What is wrong with a chosen stream, said at the stream before it is saved. */
import type { StreamProperty } from '../api/schema.gen';
import { t } from '../text';
import { embeddedProblem } from './embedded';
import { missingInMapper } from './mappers';
import { missingSetting, type StreamConfig } from './streams';

/** A function that finds the problem of a stream for a destination; it returns an empty text without one. */
export function problemOf(textFields: string[] | undefined, destination: string) {
  return (stream: StreamProperty, chosen: StreamConfig): string => {
    const missing = missingSetting(stream, chosen) || (chosen.mappers ?? []).map(missingInMapper).find(Boolean);
    if (missing) return missing;
    if (chosen.selectedFields?.length === 0) return t('Choose at least one field.');
    const values = { destination, fields: (textFields ?? []).join(', ') };
    switch (embeddedProblem(textFields, stream.propertyFields, chosen)) {
      case 'absent':
        return t('{destination} embeds {fields}, and the stream has none of these fields. Leave it out, or change the text fields.', values);
      case 'left out':
        return t('{destination} embeds {fields}, and none of these fields is chosen. Choose one, or change the text fields.', values);
      default:
        return '';
    }
  };
}
