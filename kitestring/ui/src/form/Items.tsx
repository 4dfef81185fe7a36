/** A list of groups of fields. */
import { ActionIcon, Box, Button, Group, Stack } from '@mantine/core';
import { IconPlus, IconTrash } from '@tabler/icons-react';

import { t } from '../text';
import type { FieldProps } from './field';
import { Part } from './Part';
import { initialValue, label } from './schema';
import { Field } from './SpecForm';

export function Items(field: FieldProps) {
  const { schema, value, path, name, onChange } = field;
  const items = Array.isArray(value) ? value : [];
  const replace = (n: number, next: unknown) => onChange(items.map((item, index) => (index === n ? next : item)));
  return (
    <Part field={field}>
      <Stack gap="sm">
        {items.map((item, n) => (
          <Group key={n} align="flex-start" wrap="nowrap">
            <Box flex={1}>
              <Field
                {...field}
                name={`${label(name, schema)} ${n + 1}`}
                path={`${path}.${n}`}
                schema={{ ...schema.items!, title: `${n + 1}` }}
                value={item}
                needed
                onChange={(next) => replace(n, next)}
              />
            </Box>
            <ActionIcon
              variant="subtle"
              color="gray"
              mt="lg"
              aria-label={t('Remove {field} {number}', { field: label(name, schema), number: n + 1 })}
              onClick={() => onChange(items.filter((_, index) => index !== n))}
            >
              <IconTrash size={16} aria-hidden />
            </ActionIcon>
          </Group>
        ))}
        <Group>
          <Button
            size="xs"
            variant="default"
            leftSection={<IconPlus size={14} aria-hidden />}
            onClick={() => onChange([...items, initialValue(schema.items!) ?? {}])}
          >
            {t('Add')}
          </Button>
        </Group>
      </Stack>
    </Part>
  );
}
