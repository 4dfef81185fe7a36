/** A value without fields of its own, as JSON. */
import { JsonInput } from '@mantine/core';
import { useState } from 'react';

import { t } from '../text';
import type { FieldProps, SharedProps } from './field';

/** A value without fields is edited as JSON; invalid JSON is kept as text and reported. */
export function Json({ field, shared }: { field: FieldProps; shared: SharedProps }) {
  const { value, schema, onChange } = field;
  const [text, setText] = useState(() =>
    value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value, null, 2),
  );
  return (
    <JsonInput
      {...shared}
      autosize
      minRows={3}
      maxRows={16}
      placeholder={schema.type === 'array' ? '[]' : schema.type === undefined ? t('Text or JSON') : '{}'}
      value={text}
      onChange={(next) => {
        setText(next);
        if (next.trim() === '') return onChange(undefined);
        try {
          onChange(JSON.parse(next));
        } catch {
          onChange(next);
        }
      }}
    />
  );
}
