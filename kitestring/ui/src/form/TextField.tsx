/** A field of a text, with what was probably meant where it looks like something else. */
import { Button, Text, TextInput } from '@mantine/core';

import { t } from '../text';
import type { FieldProps, SharedProps } from './field';
import { likelyValue } from './likelyValue';

export function TextField({ field, shared, hint }: { field: FieldProps; shared: SharedProps; hint?: string }) {
  const text = String(field.value ?? '');
  const meant = likelyValue(field.name, field.schema, text);
  return (
    <div>
      <TextInput
        {...shared}
        placeholder={hint}
        value={text}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => field.onChange(event.currentTarget.value)}
      />
      {meant !== undefined && <Meant value={meant} onUse={() => field.onChange(meant)} />}
    </div>
  );
}

/** “Did you mean acme?” */
export function Meant({ message, value, onUse }: { message?: string; value: string; onUse: () => void }) {
  return (
    <Text size="sm" mt={4} role="status">
      {message ?? t('Did you mean {value}?', { value })}{' '}
      <Button size="compact-xs" variant="light" onClick={onUse}>
        {t('Use {value}', { value })}
      </Button>
    </Text>
  );
}
