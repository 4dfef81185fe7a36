/** A choice between variants, each with its own fields. */
import { Select, Stack, Text } from '@mantine/core';
import { useState } from 'react';

import { t } from '../text';
import { type FieldProps, useFormNotes } from './field';
import { Part } from './Part';
import { RichText } from './RichText';
import { fieldsOf, initialValue, label, type Values, variantIndex } from './schema';
import { Fields } from './SpecForm';

/** A choice between variants, each with its own fields. Values of a variant return when it is selected again. */
export function Choice(field: FieldProps) {
  const { schema, value, path, name, needed, onChange } = field;
  const { errors } = useFormNotes();
  const variants = schema.oneOf ?? [];
  const [previousValues, setPreviousValues] = useState<Record<number, unknown>>({});
  const index = variantIndex(schema, value);
  const variant = variants[index];
  return (
    <Part field={field}>
      <Stack gap="md">
        <Select
          id={`field-${path}`}
          aria-label={label(name, schema)}
          data={variants.map((option, n) => ({ value: String(n), label: option.title ?? t('Option {number}', { number: n + 1 }) }))}
          value={index < 0 ? null : String(index)}
          placeholder={t('Choose an option')}
          maw={420}
          error={errors[path]}
          allowDeselect={false}
          clearable={!needed}
          clearButtonProps={{ 'aria-label': t('Clear {field}', { field: label(name, schema) }) }}
          onChange={(next) => {
            setPreviousValues({ ...previousValues, [index]: value });
            if (next === null) return onChange(undefined);
            const chosen = variants[Number(next)]!;
            onChange(previousValues[Number(next)] ?? initialValue({ ...chosen, properties: chosen.properties ?? {}, oneOf: undefined }) ?? {});
          }}
        />
        {variant?.description && (
          <Text size="sm" c="dimmed">
            <RichText text={variant.description} />
          </Text>
        )}
        {variant && fieldsOf(variant).length > 0 && (
          <Fields key={index} schema={variant} path={path} value={(value ?? {}) as Values} onChange={onChange} />
        )}
      </Stack>
    </Part>
  );
}
