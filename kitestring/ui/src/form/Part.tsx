/** A group of fields with its own heading. */
import { Fieldset, Text } from '@mantine/core';
import type { ReactNode } from 'react';

import { t } from '../text';
import type { FieldProps } from './field';
import { RichText } from './RichText';
import { label } from './schema';

export function Part({ field, children }: { field: FieldProps; children: ReactNode }) {
  const { schema, name, needed } = field;
  return (
    <Fieldset
      p={{ base: 'sm', sm: 'lg' }}
      legend={
        <Text span fw={600}>
          {label(name, schema)}
          {!needed && (
            <Text span size="sm" c="dimmed" fw={400}>
              {' '}
              {t('(optional)')}
            </Text>
          )}
        </Text>
      }
    >
      {schema.description && (
        <Text size="sm" c="dimmed" mb="sm">
          <RichText text={schema.description} />
        </Text>
      )}
      {children}
    </Fieldset>
  );
}
