/** Lists of texts, numbers and paths; a primary key. */
import { ActionIcon, Button, Group, Input, Stack } from '@mantine/core';
import { IconPlus, IconTrash } from '@tabler/icons-react';

import { Tags } from '../../form/Tags';
import { t } from '../../text';
import { idOf, useField } from './context';
import type { InputProps } from './ScalarField';

const texts = (value: unknown) => (Array.isArray(value) ? value.map(String) : value === undefined || value === null || value === '' ? [] : [String(value)]);

export function TextsField({ path, label, name, field, option }: InputProps) {
  const { value, set, remove, error, disabled } = useField(path);
  const items = texts(value);
  const change = (next: string[]) => {
    if (next.length === 0 && !field?.required) return value !== undefined && remove();
    if (option.kind === 'numbers') return set(next.map((item) => (Number.isNaN(Number(item)) ? item : Number(item))));
    // A key of a single field stays the text that it was.
    set(option.kind === 'key' && next.length === 1 && !Array.isArray(value) ? next[0] : next);
  };
  return (
    <Tags
      id={idOf(path)}
      label={label}
      aria-label={typeof label === 'string' ? undefined : name}
      error={error}
      disabled={disabled}
      value={items}
      onChange={change}
      allowDuplicates
      splitChars={option.kind === 'numbers' ? [',', ' '] : []}
      acceptValueOnBlur
      placeholder={items.length > 0 ? undefined : option.kind === 'key' ? t('The name of a field, then Enter') : t('Enter a value, then press Enter')}
    />
  );
}

/** Paths of fields: each a list of keys. */
export function PathsField({ path, label, name }: InputProps) {
  const { value, set, error, disabled } = useField(path);
  const rows = Array.isArray(value) ? (value as unknown[]).map(texts) : [];
  return (
    <Input.Wrapper label={label} error={error} role="group" aria-label={name}>
      <Stack gap={6} mt={4}>
        {rows.map((keys, index) => (
          <Group key={index} gap={6} wrap="nowrap" align="flex-start">
            <Tags
              flex={1}
              size="sm"
              aria-label={`${name} ${index + 1}`}
              disabled={disabled}
              value={keys}
              allowDuplicates
              splitChars={[]}
              acceptValueOnBlur
              placeholder={keys.length > 0 ? undefined : t('Keys that lead to the field')}
              onChange={(next) => set(rows.map((row, other) => (other === index ? next : row)))}
            />
            <ActionIcon variant="subtle" color="gray" mt={5} disabled={disabled} aria-label={t('Remove {field} {number}', { field: name, number: index + 1 })} onClick={() => set(rows.filter((_, other) => other !== index))}>
              <IconTrash size={16} aria-hidden />
            </ActionIcon>
          </Group>
        ))}
        <Group>
          <Button size="xs" variant="default" disabled={disabled} leftSection={<IconPlus size={14} aria-hidden />} aria-label={t('Add to {field}', { field: name })} onClick={() => set([...rows, []])}>
            {t('Add')}
          </Button>
        </Group>
      </Stack>
    </Input.Wrapper>
  );
}
