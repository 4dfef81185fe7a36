/** A field of a secret. */
import { PasswordInput, Textarea } from '@mantine/core';
import { useState } from 'react';

import { t } from '../text';
import type { FieldProps, SharedProps } from './field';
import { label, MASK } from './schema';

/** A stored secret is never shown: it does not change unless a new value is entered. */
export function Secret({ field, shared, hint }: { field: FieldProps; shared: SharedProps; hint?: string }) {
  const { value, schema, onChange } = field;
  const [stored] = useState(value === MASK);
  const unchanged = value === MASK;
  const inputProps = { ...shared, placeholder: stored ? t('Unchanged. Enter a new value to replace it.') : hint };
  const text = unchanged ? '' : String(value ?? '');
  const change = (next: string) => onChange(next === '' && stored ? MASK : next);
  return schema.multiline ? (
    <Textarea {...inputProps} autosize minRows={3} maxRows={12} value={text} onChange={(e) => change(e.currentTarget.value)} />
  ) : (
    <PasswordInput
      {...inputProps}
      value={text}
      autoComplete="new-password"
      aria-invalid={shared.error !== undefined || undefined}
      visibilityToggleButtonProps={{ 'aria-label': t('Show {field}', { field: label(field.name, schema) }), tabIndex: 0 }}
      onChange={(event) => change(event.currentTarget.value)}
    />
  );
}
